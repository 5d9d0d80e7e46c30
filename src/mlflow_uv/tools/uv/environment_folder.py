"""Makes an environment in a folder of the cache: by one process at a time, and never in the folder that others use."""

import fcntl
import os
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from ...command.errors import StepError
from ...command.report import Console
from ...core.release.digests import canonical, sha256
from ...payloads.messages.lazy_dataclass import lazy_dataclass
from ..system.partial_folders import new_folder, replace_folder

COMPLETE = "mlflow-uv-complete"
_BYTECODE = ".pyc"  # Python may write it anew
# Gets the folder of a new environment, which it creates.
Maker = Callable[[Path], object]


@lazy_dataclass
class EnvironmentFolder:
    """
    The folder of an environment, which exists only when the environment is complete.

    It is made beside its place and renamed, so that a process that is killed leaves nothing there; environments are
    relocatable for that (`Uv.install`). One that is replaced can be in use: its processes find the same packages there.
    Its mark says which files its packages had then, so that a damaged environment is noticed before it is used again.
    """

    folder: Path
    console: Console

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
        """Whether it is complete, and its packages have the files that they had when it was made."""
        _, _, sizes = self._made().partition("\n")
        try:
            return self.complete and sizes == installed_sizes(self.folder)
        except OSError:
            return False

    def make_once(self, make: Maker, *conditions: Callable[[], bool]) -> None:
        """
        Make the environment, unless a complete one exists.

        One with a lost or shortened file of a package is made again, and one that does not meet all `conditions`; an
        error of a condition is a no.
        """
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
            (new / COMPLETE).write_text(f"{secrets.token_hex(16)}\n{installed_sizes(new)}", encoding="utf-8")
            replace_folder(new, self.folder, old=scratch / "old")

    def _made(self) -> str:
        """What tells this environment from one that replaces it; empty if none is complete."""
        try:
            return (self.folder / COMPLETE).read_text(encoding="utf-8")
        except (OSError, ValueError):  # none, or damaged
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


def _is_at(file: IO[str], path: Path) -> bool:
    """Whether a path still leads to an open file."""
    try:
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    except FileNotFoundError:
        return False


def installed_sizes(environment: Path) -> str:
    """
    Return a digest of the path and the size of each file that the RECORD of a package lists; empty without packages.

    The content of the files is not read, so that it takes a moment also for hundreds of packages. Raises OSError.
    """
    sizes = tuple(_sizes(environment))
    return sha256(canonical(sizes)) if sizes else ""


def _sizes(environment: Path) -> Iterator[tuple[str, int]]:
    for record in sorted(environment.glob("lib/python*/site-packages/*.dist-info/RECORD")):
        folder = record.parents[1]
        yield record.parent.name, record.stat().st_size
        for line in record.read_text(encoding="utf-8", errors="replace").splitlines():
            path = line.rsplit(",", 2)[0].strip('"')
            if not path.endswith(_BYTECODE):
                yield path, _size(os.path.join(folder, path))  # noqa: PTH118  # of fifteen thousand files


def _size(path: str) -> int:
    """The size of a file; -1 if there is none, also in a new environment: a RECORD may list what nobody installed."""
    try:
        return os.stat(path).st_size  # noqa: PTH116  # as above
    except (OSError, ValueError):
        return -1
