"""Makes an environment in a folder of the cache: by one process at a time, and never in the folder that others use."""

import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from ...command.errors import BadInput, StepError
from ...command.report import Console
from ...core.release.digests import canonical, sha256
from ...payloads.messages.lazy_dataclass import lazy_dataclass
from ..system.partial_folders import new_folder, remove_abandoned, replace_folder
from ..system.untrusted_file import read_untrusted

COMPLETE = "mlflow-uv-complete"
STATE_SUFFIX = ".files.json"  # of a file beside an environment, with the state of its files
_KIND = "files "
_LONGEST_MARK = 4096
_BYTECODE = "__pycache__"  # Python may write it anew; it imports a module without source from any other place
_LONGEST_NAME = 16
# Gets the folder of a new environment, which it creates.
Maker = Callable[[Path], object]


@lazy_dataclass
class EnvironmentFolder:
    """
    The folder of an environment, which exists only when the environment is complete.

    It is made beside its place and renamed, so that a process that is killed leaves nothing there; environments are
    relocatable for that (`Uv.install`). One that is replaced can be in use: its processes find the same packages there.
    Its mark says which files it had then, so that a damaged environment is noticed before it is used again.
    """

    folder: Path
    console: Console
    on_new: Callable[[Path], None]  # gets the folder when a new environment is in its place

    @property
    def python(self) -> Path:
        """Its interpreter."""
        return self.folder / "bin" / "python"

    @property
    def complete(self) -> bool:
        """Whether it was made to the end, and its interpreter, a link to a file of others, still exists."""
        return bool(self._made()) and self.python.is_file()

    @property
    def intact(self) -> bool:
        """Whether it is complete, and has the files that it had when it was made, with their sizes and times."""
        return self.complete and self._state == _state_of(self.folder)

    @property
    def damaged(self) -> bool:
        """Whether it is known to have other files than when it was made; an earlier release did not keep that."""
        return self._state.startswith(_KIND) and not self.intact

    @property
    def _state(self) -> str:
        return self._made().partition("\n")[2]

    def make_once(self, make: Maker, *conditions: Callable[[], bool]) -> None:
        """
        Make the environment, unless a complete one exists.

        One with a lost, new or changed file is made again, and one that does not meet all `conditions`; an error of a
        condition is a no. What was replaced before is removed in any case, once no process uses it.
        """
        remove_abandoned(self.folder.parent)
        if self._usable(conditions):
            return
        with self._turn():
            if not self._usable(conditions):
                self._replace(make)

    def make_anew(self, make: Maker) -> None:
        """Make the environment, unless another process made it since this call began."""
        before = self._made()
        with self._turn():
            if not self.complete or self._made() == before:
                self._replace(make)

    def _usable(self, conditions: tuple[Callable[[], bool], ...]) -> bool:
        try:
            return self.intact and all(holds() for holds in conditions)
        except (StepError, OSError, ValueError):  # what asks an environment runs its interpreter, which may be damaged
            return False

    def _replace(self, make: Maker) -> None:
        with new_folder(self.folder.parent) as scratch:
            new = scratch / "new"
            make(new)
            (new / COMPLETE).write_text(f"{os.urandom(16).hex()}\n{_state_of(new)}", encoding="utf-8")
            replace_folder(new, self.folder, old=scratch / "old")
        self.on_new(self.folder)

    def _made(self) -> str:
        """What tells this environment from one that replaces it; empty if none is complete."""
        try:
            return read_untrusted(self.folder / COMPLETE, limit=_LONGEST_MARK).decode()
        except (BadInput, ValueError):  # none, or damaged
            return ""

    @contextmanager
    def _turn(self) -> Iterator[None]:
        """
        Wait for the process that makes it; the lock ends with a process, however that ends.

        The file of the lock is removed by who has it, so that one that waited may have locked a removed file.
        """
        self.folder.parent.mkdir(parents=True, exist_ok=True)
        path = self.folder.with_name(f"{self.folder.name}.lock")
        while True:
            with path.open("a") as lock:
                self._lock(lock)
                if not _is_at(lock, path):
                    continue
                try:
                    yield
                finally:
                    path.unlink(missing_ok=True)
                return

    def _lock(self, lock: IO[str]) -> None:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self.console.say("waiting for another process that makes the same environment")
            fcntl.flock(lock, fcntl.LOCK_EX)


def environment_name(key: str) -> str:
    """Return the name of the folder of an environment in the cache, of which the key says what it is made from."""
    return key[:_LONGEST_NAME]


def _is_at(file: IO[str], path: Path) -> bool:
    """Whether a path still leads to an open file."""
    try:
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    except FileNotFoundError:
        return False


def _state_of(environment: Path) -> str:
    return _KIND + sha256(canonical(file_states(environment)))


def file_states(environment: Path) -> dict[str, str]:
    """
    Return a digest of paths, sizes and times for each entry of `site-packages` and `bin`, and for pyvenv.cfg.

    The content of the files is not read, so that it takes a moment also for ten thousand files; bytecode is left out.
    """
    states_of_entries: dict[str, list[str]] = {"pyvenv.cfg": [_size_and_time(f"{environment}/pyvenv.cfg")]}
    for folder in (*sorted(environment.glob("lib/python*/site-packages")), environment / "bin"):
        place = folder.relative_to(environment).as_posix()
        for entry in _entries(str(folder)):
            _add_states(entry, entry.name, states_of_entries.setdefault(f"{place}/{entry.name}", []))
    return {
        path: sha256("\0".join(states).encode(errors="surrogateescape")) for path, states in states_of_entries.items()
    }


def _entries(folder: str) -> "list[os.DirEntry[str]]":
    """What is in a folder, sorted, without bytecode; nothing if it cannot be read."""
    try:
        with os.scandir(folder) as entries:
            return sorted((entry for entry in entries if entry.name != _BYTECODE), key=lambda entry: entry.name)
    except OSError:
        return []


def _add_states(entry: "os.DirEntry[str]", name: str, states: list[str]) -> None:
    """Add the path, the size and the time of each file at or below an entry; of an interpreter, where it is."""
    if entry.is_dir(follow_symlinks=False):
        for inner in _entries(entry.path):
            _add_states(inner, f"{name}/{inner.name}", states)
        return
    linked = os.readlink(entry.path) if entry.is_symlink() else ""  # noqa: PTH115  # of ten thousand files
    # A file of a package may be a link into the cache of uv; the interpreter is one to a file of the system.
    states += (name, linked, "" if linked and name.startswith("python") else _size_and_time(entry.path))


def _size_and_time(path: str) -> str:
    try:
        state = os.stat(path)  # noqa: PTH116  # as above
    except OSError:
        return ""
    return f"{state.st_size} {state.st_mtime_ns}"
