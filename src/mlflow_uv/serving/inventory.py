"""
Prints an interpreter's installed packages and marker environment, and the files of a model, as JSON.

`python -I inventory.py [MODEL]` prints {python, marker_environment, installed: [[name, version]], elsewhere: [[module,
path]], serves, model: [[posix path, sha256]]}. `elsewhere` lists modules of these packages that Python would import
from another path, `serves` is the model folder that the server would use, and `model` is empty without MODEL.
"""

import csv
import hashlib
import io
import json
import os
import platform
import re
import runpy
import sys
import sysconfig
from email import message_from_string
from email.message import Message
from importlib import metadata, util
from pathlib import Path
from typing import cast


def marker_environment() -> "dict[str, str]":
    """The marker variables of PEP 508, computed as `packaging.markers.default_environment` does."""
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
    """The site-packages folders of this interpreter."""
    return sorted({sysconfig.get_path("purelib"), sysconfig.get_path("platlib")})


def installed() -> "list[tuple[str, str]]":
    """
    The PEP 503 name and the version of every distribution; one that is installed twice is listed twice.

    A folder without a name, which an uninstallation left behind, is none.
    """
    headers = [headers_of(item) for item in metadata.distributions(path=folders())]
    pairs = [(header.get("Name"), header.get("Version")) for header in headers]
    return sorted((re.sub(r"[-_.]+", "-", name).lower(), version) for name, version in pairs if name and version)


def headers_of(item: metadata.Distribution) -> Message:
    """The metadata of a distribution; as payloads/distributions.py, which is not in an image."""
    try:
        return cast("Message", item.metadata)
    except UnicodeDecodeError as error:
        return message_from_string(error.object.decode("utf-8", "replace"))


def record_of(item: metadata.Distribution) -> "str | None":
    """The list of files of a distribution; installers write the bytes of names as a wheel has them."""
    try:
        return item.read_text("RECORD")
    except UnicodeDecodeError as error:
        return error.object.decode("utf-8", "replace")


def listed(item: metadata.Distribution) -> "list[list[str]]":
    """The parts of each path that a distribution lists; `item.files` makes an object of each, and looks for it."""
    record = record_of(item)
    rows = csv.reader(io.StringIO(record or "", newline=""))
    paths = [row[0] for row in rows if row] or map(str, item.files or ())
    return [[part for part in path.split("/") if part not in ("", ".")] for path in paths]


def elsewhere() -> "list[tuple[str, str]]":
    """
    Modules of a distribution that Python would import from outside of `folders()`, with that path.

    Nothing is imported. Modules with a name of the standard library are skipped: Python never imports such backports.
    """
    files = [parts for item in metadata.distributions(path=folders()) for parts in listed(item) if parts]
    names = {parts[0].partition(".")[0] for parts in files if len(parts) > 1 or parts[0].endswith((".py", ".so"))}
    shadowed = []
    for name in sorted(names):
        if name.isidentifier() and name not in sys.stdlib_module_names and name != "__pycache__":
            spec = util.find_spec(name)
            paths = [] if spec is None else spec.submodule_search_locations or [spec.origin or ""]
            shadowed += [(name, path) for path in paths if not path.startswith(tuple(folders()))]
    return shadowed


def serves() -> str:
    """The model folder that the server beside this file would use here."""
    namespace = runpy.run_path(str(Path(__file__).with_name("model") / "model_location.py"))
    return str(namespace["model_folder"](os.environ))


def files(folder: str) -> "list[tuple[str, str]]":
    """The posix path and the SHA-256 of every file below a folder."""
    paths = sorted(path for path in Path(folder).rglob("*") if path.is_file())
    return [(path.relative_to(folder).as_posix(), hashlib.sha256(path.read_bytes()).hexdigest()) for path in paths]


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
