"""Finds the project folder of a changed file. Imports `os` only, for hooks."""

import os

from ...core.lock.foreign_folders import is_foreign


def nearest_project(file: str, top: str) -> str | None:
    """
    The nearest folder above a file, in `top`, with a pyproject.toml; both paths are absolute, without `..`.

    None for a file of an environment, a vendored copy, or no project.
    """
    inside = f"{top.rstrip('/')}/"
    if not file.startswith(inside):
        return None
    folder, nearest = file, None
    while folder not in (top, "/"):
        folder = os.path.dirname(folder)
        if os.path.exists(os.path.join(folder, "pyvenv.cfg")):
            return None
        if nearest is None and os.path.isfile(os.path.join(folder, "pyproject.toml")):
            nearest = folder
    return None if nearest is None or is_foreign(nearest[len(inside) :]) else nearest
