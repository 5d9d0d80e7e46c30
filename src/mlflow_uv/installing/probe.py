"""Which Python is this, and what is already here? `python3 -I probe.py FOLDER...`: its version, and those in use."""

import platform
import sys
from pathlib import Path


def used(folder: str) -> bool:
    """Whether something lies there."""
    path = Path(folder)
    return any(path.iterdir()) if path.is_dir() else path.is_file()


print(platform.python_version(), *filter(used, sys.argv[1:]))
