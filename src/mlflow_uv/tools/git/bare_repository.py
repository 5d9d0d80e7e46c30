"""Finds a folder of a checkout that git would use as a bare repository. Imports `os` only, for hooks."""

import os


def bare_repository_at(folder: str) -> str | None:
    """
    The folder at or above this one that git would use as a bare repository; None if a `.git` is nearer.

    Such a folder can be committed. git recognizes it by these three names; versions before 2.38 use it.
    """
    place = os.path.realpath(folder)
    while True:
        if os.path.lexists(os.path.join(place, "HEAD")) and all(
            os.path.isdir(os.path.join(place, name)) for name in ("objects", "refs")
        ):
            return place if os.path.basename(place) != ".git" else None
        git = os.path.join(place, ".git")
        if os.path.isfile(git) or os.path.lexists(os.path.join(git, "HEAD")):
            return None
        above = os.path.dirname(place)
        if above == place:
            return None
        place = above
