"""Merges the layers of an image into one tree of paths, and follows its links, without unpacking or executing it."""

from collections.abc import Iterable, Iterator
from dataclasses import field
from enum import Enum
from pathlib import PurePosixPath

from ...payloads.messages.lazy_dataclass import lazy_dataclass
from .layers import OPAQUE, WHITEOUT

_MOST_LINKS = 40  # as in Linux
_TOP = PurePosixPath("/")


class EntryKind(Enum):
    """What a path is."""

    FILE = "file"
    FOLDER = "folder"
    LINK = "link"


@lazy_dataclass
class TreeEntry:
    """
    A path of a layer.

    `layer` is its position, lowest 0. `target` is that of a symbolic link. A hard link is a file. `start` and `size`
    say where the content of a file is in its layer; `start` is negative if it is not in one piece there.
    """

    path: PurePosixPath
    kind: EntryKind
    layer: int
    target: str = ""
    executable: bool = False
    start: int = -1
    size: int = 0


@lazy_dataclass(frozen=False)
class FileTree:
    """The paths of an image."""

    _entries: dict[PurePosixPath, TreeEntry] = field(default_factory=dict)
    _children: dict[PurePosixPath, set[PurePosixPath]] = field(default_factory=dict)

    def add(self, entries: Iterable[TreeEntry]) -> None:
        """Put a layer on top of those that were added before."""
        added = list(entries)
        for entry in added:
            name, parent = entry.path.name, entry.path.parent
            if name == OPAQUE:
                self._remove_below(parent)
            elif name.startswith(WHITEOUT):
                self._remove(parent / name.removeprefix(WHITEOUT))
        for entry in added:
            if not entry.path.name.startswith(WHITEOUT):
                if entry.kind is not EntryKind.FOLDER:
                    self._remove(entry.path)
                self._put(entry)
                for parent in entry.path.parents[:-1]:  # a layer need not have entries for its folders
                    if parent in self._entries:
                        break
                    self._put(TreeEntry(path=parent, kind=EntryKind.FOLDER, layer=entry.layer))

    def __contains__(self, path: PurePosixPath) -> bool:
        return path in self._entries

    def __len__(self) -> int:
        return len(self._entries)

    def below(self, folder: PurePosixPath) -> tuple[TreeEntry, ...]:
        """Everything below a folder, sorted by path."""
        return tuple(self._entries[path] for path in sorted(self._paths_below(folder)))

    def folders(self) -> frozenset[PurePosixPath]:
        """The paths of all folders."""
        return frozenset(path for path, entry in self._entries.items() if entry.kind is EntryKind.FOLDER)

    def resolved(self, path: PurePosixPath) -> TreeEntry | None:
        """The file or folder at a path, with links followed inside the image; None for a broken or endless link."""
        waiting = list(reversed(path.parts[1:]))
        place, links = _TOP, 0
        while waiting:
            part = waiting.pop()
            if part in {"", "."}:
                continue
            if part == "..":
                place = place.parent
                continue
            entry = self._entries.get(place / part)
            if entry is None:
                return None
            if entry.kind is not EntryKind.LINK:
                place /= part
                continue
            links += 1
            if links > _MOST_LINKS:
                return None
            if entry.target.startswith("/"):
                place = _TOP
            waiting += reversed(PurePosixPath(entry.target).parts)
            waiting = [each for each in waiting if each != "/"]
        return self._entries.get(place)

    def find_program(self, name: str, search_path: str) -> tuple[PurePosixPath, TreeEntry] | None:
        """The first program of a name in the folders of PATH: the path there, and the file that it leads to."""
        for folder in search_path.split(":"):
            if folder.startswith("/"):
                path = PurePosixPath(folder) / name
                entry = self.resolved(path)
                if entry is not None and entry.kind is EntryKind.FILE and entry.executable:
                    return path, entry
        return None

    def _put(self, entry: TreeEntry) -> None:
        self._entries[entry.path] = entry
        self._children.setdefault(entry.path.parent, set()).add(entry.path)

    def _remove(self, path: PurePosixPath) -> None:
        if self._entries.pop(path, None) is not None:
            self._children[path.parent].discard(path)
            self._remove_below(path)

    def _remove_below(self, folder: PurePosixPath) -> None:
        for path in list(self._paths_below(folder)):
            del self._entries[path]
            self._children.pop(path, None)
        self._children.pop(folder, None)

    def _paths_below(self, folder: PurePosixPath) -> Iterator[PurePosixPath]:
        """Everything below a folder; the time depends on what is there, not on the size of the image."""
        waiting = [folder]
        while waiting:
            children = self._children.get(waiting.pop(), ())
            yield from children
            waiting += children
