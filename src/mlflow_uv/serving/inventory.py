"""
Which packages does this interpreter hold, what would a marker be evaluated with here, and which model lies here?

`python -I inventory.py [MODEL]` prints {python, marker_environment, installed: [[name, version]], model: [[posix path,
sha256]]} as JSON; `model` is empty without a folder.
"""

import hashlib
import json
import os
import platform
import re
import sys
import sysconfig
from importlib import metadata
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


def installed() -> "list[tuple[str, str]]":
    """Name, normalised as PEP 503 says, and version of every distribution; what lies there twice is listed twice."""
    folders = sorted({sysconfig.get_path("purelib"), sysconfig.get_path("platlib")})
    found = metadata.distributions(path=folders)
    return sorted((re.sub(r"[-_.]+", "-", one.metadata["Name"]).lower(), one.version) for one in found)


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
            "model": [pair for folder in sys.argv[1:2] for pair in files(folder)],
        },
        sys.stdout,
        indent=1,
    )
