"""
Which packages does this interpreter hold, what would a marker be evaluated with here, and which model lies here?

`python -I inventory.py [MODEL]` prints as JSON {python, marker_environment, installed: [[name, version]], elsewhere:
[[module, place]], serves, model: [[posix path, sha256]]}. `elsewhere` are modules of these packages that would be
imported from another place, `serves` is the folder that the server would take, and `model` is empty without a folder.
"""

import hashlib
import json
import os
import platform
import re
import runpy
import sys
import sysconfig
from importlib import metadata, util
from pathlib import Path


def marker_environment() -> "dict[str, str]":
    """The names of PEP 508, as `packaging.markers.default_environment` computes them."""
    version = sys.implementation.version
    suffix = "" if version.releaselevel == "final" else version.releaselevel[0] + str(version.serial)
    return {
        "implementation_name": sys.implementation.name,
        "implementation_version": f"{version.major}.{version.minor}.{version.micro}{suffix}",
        "os_name": os.name,
        "platform_machine": platform.machine(),
        "platform_python_implementation": platform.python_implementation(),
        "platform_release": platform.release(),
        "platform_system": platform.system(),
        "platform_version": platform.version(),
        "python_full_version": platform.python_version(),
        "python_version": ".".join(platform.python_version_tuple()[:2]),
        "sys_platform": sys.platform,
    }


def folders() -> "list[str]":
    """Where this interpreter's packages lie."""
    return sorted({sysconfig.get_path("purelib"), sysconfig.get_path("platlib")})


def installed() -> "list[tuple[str, str]]":
    """Name, normalised as PEP 503 says, and version of every distribution; what lies there twice is listed twice."""
    found = metadata.distributions(path=folders())
    return sorted((re.sub(r"[-_.]+", "-", one.metadata["Name"]).lower(), one.version) for one in found)


def elsewhere() -> "list[tuple[str, str]]":
    """
    Modules of a distribution that Python would import from outside, and from where; nothing is imported.

    Those named like one of the standard library are a backport that Python never takes.
    """
    files = [file for one in metadata.distributions(path=folders()) for file in one.files or ()]
    names = {file.parts[0].partition(".")[0] for file in files if len(file.parts) > 1 or file.suffix in (".py", ".so")}
    found = []
    for name in sorted(names):
        if name.isidentifier() and name not in sys.stdlib_module_names and name != "__pycache__":
            spec = util.find_spec(name)
            places = [] if spec is None else spec.submodule_search_locations or [spec.origin or ""]
            found += [(name, place) for place in places if not place.startswith(tuple(folders()))]
    return found


def serves() -> str:
    """The folder of the model that the server beside us would take here."""
    places = runpy.run_path(str(Path(__file__).with_name("model_location.py")))
    return str(places["model_folder"](os.environ))


def files(folder: str) -> "list[tuple[str, str]]":
    """Posix path and sha256 of every file below a folder."""
    found = sorted(path for path in Path(folder).rglob("*") if path.is_file())
    return [(path.relative_to(folder).as_posix(), hashlib.sha256(path.read_bytes()).hexdigest()) for path in found]


if __name__ == "__main__":
    json.dump(
        {
            "python": platform.python_version(),
            "marker_environment": marker_environment(),
            "installed": installed(),
            "elsewhere": elsewhere(),
            "serves": serves(),
            "model": [pair for folder in sys.argv[1:2] for pair in files(folder)],
        },
        sys.stdout,
        indent=1,
    )
