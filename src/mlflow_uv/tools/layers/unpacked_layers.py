"""Keeps layers unpacked, each once, and gives environments their files as hard links that were verified before."""

import errno
import fcntl
import json
import os
import shutil
import stat
import tarfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path, PurePosixPath

from ...command.errors import BadInput
from ...core.image.dockerfile import VENV
from ...core.release.digests import canonical, sha256
from ...core.security.documents import parse_json
from ...payloads.messages.lazy_dataclass import lazy_dataclass
from ..system.archives import extract
from ..system.partial_folders import new_folder, remove_abandoned, replace_folder
from ..system.process import Runner
from ..system.untrusted_file import read_untrusted
from .cache import CachedLayer
from .linked_files import EXECUTABLE, PLAIN, Entries, described

MOST_BYTES = 8 << 30  # of all unpacked layers; those that an environment has take no space of their own
_LIST, _FILES = "list.json", "files"
_LONGEST_LIST = 64 << 20
# The file system has no hard links, has no more of them for a file, or the two folders are in different ones.
_NOT_LINKED = frozenset({errno.EXDEV, errno.EPERM, errno.EMLINK, errno.EOPNOTSUPP, errno.ENOSYS, errno.EACCES})
Place = Callable[[str], PurePosixPath | None]


def environment_path(name: str) -> PurePosixPath | None:
    """Where a member of a layer is in the environment of an image; None if it is elsewhere."""
    path = PurePosixPath("/", name)
    return path.relative_to(VENV) if PurePosixPath(VENV) in path.parents else None


@lazy_dataclass
class _Listed:
    """A layer that is unpacked in a folder: the files and links in it, and the sum of their sizes."""

    folder: Path
    entries: Entries
    size: int


class UnpackedLayerCache:
    """
    A folder with one folder for each layer, named by its digest.

    A model that was served from an environment may have changed any of its files, which are the files here. So each
    file is compared with its digest whenever it is linked; a layer with a changed, lost or new entry is unpacked again,
    into new files. No file can be written, as those of an image by its user. `LinkedFiles` finds later
    changes.

    Several processes may use it at once: each folder is complete when it gets its name, and none is removed while a
    process links its files.
    """

    def __init__(self, folder: Path, place: Place, runner: Runner, *, most_bytes: int = MOST_BYTES) -> None:
        """`place` says which members of a layer are unpacked, and where; see `extract`."""
        self.folder = folder
        self._place = place
        self._runner = runner
        self._most_bytes = most_bytes
        self.changed: list[str] = []  # names of layers whose files were not as they had been unpacked

    def link(self, layers: Sequence[CachedLayer], environment: Path) -> Entries:
        """
        Add the files of layers to a folder, lowest layer first: a higher one covers what a lower one has.

        They are returned. Raises OSError, tarfile.TarError.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        remove_abandoned(self.folder)  # layers that were replaced before, also if none is unpacked now
        with self._lock(fcntl.LOCK_SH):
            listed = self._runner.side_by_side([partial(self._verified, layer) for layer in layers])
            linking = _Linking(environment)
            for each in listed:
                linking.add(each)
        self._remove_others(frozenset(each.folder.name for each in listed))
        return linking.entries

    def _verified(self, layer: CachedLayer) -> _Listed:
        """A layer whose files are as its list says, unpacked again if they are not."""
        folder = self.folder / layer.layer.blob.digest.rpartition(":")[2]
        listed = _read(folder)
        if listed is None or _entries_of(folder / _FILES) != (listed.entries, listed.size):
            if os.path.lexists(folder):
                self.changed.append(layer.layer.name)
            with new_folder(self.folder) as scratch:
                listed = self._unpack(layer, scratch / "new", folder)
                replace_folder(scratch / "new", folder, old=scratch / "old")
        with suppress(OSError):
            os.utime(folder / _LIST)  # when it was last used
        return listed

    def _unpack(self, layer: CachedLayer, new: Path, folder: Path) -> _Listed:
        files = new / _FILES
        files.mkdir(parents=True)
        extract(layer.archive, files, self._place)
        for entry in _files_in(str(files)):
            if not entry.is_symlink():
                os.chmod(entry.path, EXECUTABLE if entry.stat().st_mode & stat.S_IXUSR else PLAIN)  # noqa: PTH101
        entries, size = _entries_of(files)
        digest = sha256(canonical([layer.layer.blob.digest, entries, size]))
        content = {"layer": layer.layer.blob.digest, "entries": entries, "size": size, "sha256": digest}
        (new / _LIST).write_text(json.dumps(content), encoding="utf-8")
        return _Listed(folder=folder, entries=entries, size=size)

    def _remove_others(self, kept: frozenset[str]) -> None:
        """Remove the layers that were not used for the longest time, if all have too many bytes; never `kept` ones."""
        found = [listed for folder in self.folder.iterdir() if (listed := _read(folder)) is not None]
        excess = sum(listed.size for listed in found) - self._most_bytes
        if excess <= 0:
            return
        with suppress(BlockingIOError), self._lock(fcntl.LOCK_EX | fcntl.LOCK_NB):  # else the next process does it
            for listed in sorted(found, key=_last_use):
                if listed.folder.name not in kept and excess > 0:
                    shutil.rmtree(listed.folder, ignore_errors=True)
                    excess -= listed.size

    @contextmanager
    def _lock(self, kind: int) -> Iterator[None]:
        """A shared lock to link files, or an exclusive one to remove layers; it ends with its process."""
        descriptor = os.open(self.folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.flock(descriptor, kind)
            yield
        finally:
            os.close(descriptor)


def _last_use(listed: _Listed) -> float:
    try:
        return (listed.folder / _LIST).stat().st_mtime
    except OSError:
        return 0.0


def _read(folder: Path) -> _Listed | None:
    """The list of a layer; None if there is none, or it was changed, or is that of another layer."""
    try:
        content = parse_json(read_untrusted(folder / _LIST, limit=_LONGEST_LIST))
        digest, entries, size = content["layer"], content["entries"], content["size"]
        expected = sha256(canonical([digest, entries, size]))
        if digest != f"sha256:{folder.name}" or content["sha256"] != expected:
            return None
        return _Listed(folder=folder, entries=entries, size=size)
    except (BadInput, OSError, ValueError, KeyError, TypeError, RecursionError):
        return None


def _entries_of(folder: Path) -> tuple[dict[str, str], int]:
    """What is in a folder, and the sum of the sizes: all files are read, and no link is followed."""
    entries: dict[str, str] = {}
    total, start = 0, len(str(folder)) + 1
    for entry in _files_in(str(folder)):
        text, size = described(entry.path, is_link=entry.is_symlink())
        entries[entry.path[start:]] = text
        total += size
    return entries, total


def _files_in(folder: str) -> "Iterator[os.DirEntry[str]]":
    """Everything below a folder that is no folder; nothing if it is not there, or is itself a link."""
    try:
        if os.path.islink(folder):  # noqa: PTH114  # of thousands of folders
            return
        with os.scandir(folder) as found:
            entries = list(found)
    except OSError:
        return
    for entry in entries:
        if entry.is_dir(follow_symlinks=False):
            yield from _files_in(entry.path)
        else:
            yield entry


class _Linking:
    """Links files into an environment, and remembers them and the folders that are there."""

    def __init__(self, environment: Path) -> None:
        self.entries: dict[str, str] = {}
        self._top = os.path.realpath(environment)
        self._made = {"": ""}  # folders, by relative path, and where they are: links of lower layers may lead to them

    def add(self, listed: _Listed) -> None:
        """Link the files of a layer, which replace what is there."""
        source = str(listed.folder / _FILES)
        for path, text in listed.entries.items():
            folder, slash, name = path.rpartition("/")
            place = f"{self._make(folder)}{slash}{name}".lstrip("/")
            target = f"{self._top}/{place}"
            try:
                _link(f"{source}/{path}", target, text)
            except FileExistsError:
                if os.path.islink(target):  # noqa: PTH114  # of thousands of files
                    self._made = {"": ""}  # it may be a link to a folder, through which others were made
                os.unlink(target)  # noqa: PTH108
                _link(f"{source}/{path}", target, text)
            self.entries[place] = text

    def _make(self, folder: str) -> str:
        """Make a folder, and return where it is, which is never out of the environment."""
        if folder in self._made:
            return self._made[folder]
        parent, slash, name = folder.rpartition("/")
        place = f"{self._make(parent)}{slash}{name}".lstrip("/")
        try:
            os.mkdir(f"{self._top}/{place}")  # noqa: PTH102  # of thousands of folders
        except FileExistsError:
            real = os.path.realpath(f"{self._top}/{place}")
            if not real.startswith(f"{self._top}/"):
                raise tarfile.ExtractError(f"`{folder}` leads out of the folder") from None
            place = real[len(self._top) + 1 :]
        self._made[folder] = place
        return place


def _link(source: str, target: str, text: str) -> None:
    if text.startswith("-> "):
        os.symlink(text.removeprefix("-> "), target)  # noqa: PTH211
        return
    try:
        os.link(source, target, follow_symlinks=False)
    except OSError as error:
        if error.errno not in _NOT_LINKED:
            raise
        if os.path.lexists(target):
            raise FileExistsError(target) from error
        shutil.copy2(source, target, follow_symlinks=False)


def unpacked_packages(cache: Path, runner: Runner) -> UnpackedLayerCache:
    """The files of layers that are in the environment of an image, for a process that serves from them."""
    return UnpackedLayerCache(cache / "unpacked-layers", environment_path, runner)
