"""Records running trainings, so that runs of a killed training can be marked as failed later."""

import fcntl
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from ...command.host import Host
from ...core.release.digests import sha256


@dataclass(frozen=True, kw_only=True, slots=True)
class Attempt:
    """A training, and the file that is there until its runs are closed."""

    id: str
    file: Path

    def closed(self) -> None:
        """None of its runs is open any more."""
        self.file.unlink(missing_ok=True)


class Attempts:
    """
    A file for each training, locked while it goes on: whoever is killed lets go of the lock, and leaves the file.

    What was killed on another machine is not known here.
    """

    def __init__(self, host: Host) -> None:
        self._state = host.state / "attempts"

    @contextmanager
    def begun(self, store: str) -> Iterator[Attempt]:
        """Hold the file of a new training, as long as the block runs; who closed its runs says so."""
        folder = self._folder(store)
        folder.mkdir(parents=True, exist_ok=True)
        attempt = Attempt(id=secrets.token_hex(16), file=folder / secrets.token_hex(16))
        # Nobody sees it before it is locked.
        hidden = folder.parent / f".{attempt.file.name}"
        with hidden.open("w") as lock:
            lock.write(attempt.id)
            lock.flush()
            fcntl.flock(lock, fcntl.LOCK_EX)
            hidden.rename(attempt.file)
            yield attempt

    def dead(self, store: str) -> Iterator[Attempt]:
        """The trainings on a store that ended without closing their runs; held while they are looked at."""
        for file in sorted(self._folder(store).glob("*")):
            try:
                with file.open() as lock:
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    yield Attempt(id=lock.read(), file=file)
            except (BlockingIOError, FileNotFoundError):
                continue  # it goes on, or somebody else closed it

    def _folder(self, store: str) -> Path:
        return self._state / sha256(store.encode())[:16]
