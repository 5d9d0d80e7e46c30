"""Reads from the files of an image which shared libraries its loader finds, without starting it."""

import posixpath
from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import PurePosixPath

from ...core.image.file_tree import EntryKind
from ...payloads.messages.lazy_dataclass import lazy_dataclass
from .saved_image import SavedImage, libc_of

_OWN = ("/lib64", "/usr/lib64", "/lib", "/usr/lib", "/usr/local/lib")
_DEEPEST = 5  # includes in includes


@lazy_dataclass
class Loader:
    """The names of all files in the folders that a loader searches, sorted, and the last folder: that of the libc."""

    names: tuple[str, ...]
    folder: PurePosixPath | None


def loader_of(image: SavedImage, machine: str) -> Loader:
    """
    The loader of an image for an architecture (`x86_64`); it searches what installing/libraries.py lists in an image.

    Raises ToolFailed.
    """
    libc = libc_of(image)
    folder = None if libc is None else libc.path.parent
    named = [part for part in image.variables.get("LD_LIBRARY_PATH", "").split(":") if part.startswith("/")]
    configured = _configured(image, PurePosixPath("/etc/ld.so.conf"), 0)
    triple = [f"{top}/{machine}-linux-gnu" for top in ("/lib", "/usr/lib")]
    places = dict.fromkeys([*named, *configured, *triple, *_OWN, *([str(folder)] if folder else [])])
    return Loader(names=tuple(sorted({name for place in places for name in _names(image, place)})), folder=folder)


def _names(image: SavedImage, place: str) -> Iterator[str]:
    entry = image.tree.resolved(PurePosixPath(place))
    if entry is not None and entry.kind is EntryKind.FOLDER:
        yield from (child.path.name for child in image.tree.below(entry.path) if child.path.parent == entry.path)


def _configured(image: SavedImage, file: PurePosixPath, depth: int) -> Iterator[str]:
    """The folders in a configuration file of ldconfig and in the files that it includes."""
    for line in (line.partition("#")[0].strip() for line in image.text(file).splitlines()):
        if line.startswith("/"):
            yield line.partition("=")[0]
        elif line.startswith("include ") and depth < _DEEPEST:
            pattern = posixpath.normpath(posixpath.join(file.parent, line.removeprefix("include ").strip()))
            folder = image.tree.resolved(PurePosixPath(posixpath.dirname(pattern)))
            for other in () if folder is None else image.tree.below(folder.path):
                if fnmatch(str(other.path), posixpath.join(other.path.parent, posixpath.basename(pattern))):
                    yield from _configured(image, other.path, depth + 1)
