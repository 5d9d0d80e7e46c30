"""Makes an environment in a folder of the cache: by one process at a time, and never in the folder that others use."""

import fcntl
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from ...command.errors import StepError
from ...command.report import Console
from ...payloads.messages.lazy_dataclass import lazy_dataclass
from ..system.partial_folders import new_folder, replace_folder

COMPLETE = "mlflow-uv-complete"
# Gets the folder of a new environment, which it creates.
Maker = Callable[[Path], object]


@lazy_dataclass
class EnvironmentFolder:
    """
    The folder of an environment, which exists only when the environment is complete.

    It is made beside its place and renamed, so that a process that is killed leaves nothing there; environments are
    relocatable for that (`Uv.install`). One that is replaced can be in use: its processes find the same packages there.
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

    def make_once(self, make: Maker, *, valid: Callable[[], bool]) -> None:
        """Make the environment, unless a complete one exists that is `valid`; an error of `valid` is a no."""
        if self._usable(valid):
            return
        with self._turn():
            if not self._usable(valid):
                self._replace(make)

    def make_anew(self, make: Maker) -> None:
        """Make the environment, unless another process made it since this call began."""
        before = self._made()
        with self._turn():
            if not self.complete or self._made() == before:
                self._replace(make)

    def _usable(self, valid: Callable[[], bool]) -> bool:
        try:
            return self.complete and valid()
        except (StepError, OSError, ValueError):  # what asks an environment runs its interpreter, which may be damaged
            return False

    def _replace(self, make: Maker) -> None:
        with new_folder(self.folder.parent) as scratch:
            new = scratch / "new"
            make(new)
            (new / COMPLETE).write_text(secrets.token_hex(16), encoding="utf-8")
            replace_folder(new, self.folder, old=scratch / "old")

    def _made(self) -> str:
        """What tells this environment from one that replaces it; empty if none is complete."""
        try:
            return (self.folder / COMPLETE).read_text(encoding="utf-8")
        except (OSError, ValueError):  # none, or damaged
            return ""

    @contextmanager
    def _turn(self) -> Iterator[None]:
        """Wait for the process that makes it; the lock ends with a process, however that ends."""
        self.folder.parent.mkdir(parents=True, exist_ok=True)
        with self.folder.with_name(f"{self.folder.name}.lock").open("a") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                self.console.say("waiting for another process that makes the same environment")
                fcntl.flock(lock, fcntl.LOCK_EX)
            yield
