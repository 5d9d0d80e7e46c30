"""Prints the version of Python and which of the given paths are in use: `python3 -I probe.py FOLDER...`."""

import platform
import sys
from pathlib import Path


def used(folder: str) -> bool:
    """Whether the path is a non-empty folder or a file."""
    path = Path(folder)
    return any(path.iterdir()) if path.is_dir() else path.is_file()


print(platform.python_version(), *filter(used, sys.argv[1:]))
