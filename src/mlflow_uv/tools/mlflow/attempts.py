"""Records running trainings, so that runs of a killed training can be marked as failed later."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ...command.host import Host
from ...core.release.digests import sha256
from ...payloads.messages.lazy_dataclass import lazy_dataclass


@lazy_dataclass
class Attempt:
    """A training, and the file that exists until its runs are closed."""

    id: str
    file: Path

    def mark_closed(self) -> None:
        """Delete the file: none of its runs is open."""
        self.file.unlink(missing_ok=True)


class Attempts:
    """
    A file for each training, locked while it runs: a killed training releases the lock and leaves the file.

    Trainings that were killed on another machine are unknown here.
    """

    def __init__(self, host: Host) -> None:
        self._state = host.state / "attempts"

    @contextmanager
    def start(self, store: str) -> Iterator[Attempt]:
        """Hold the lock of a new training while the block runs; `Attempt.mark_closed` deletes its file."""
        folder = self._folder(store)
        folder.mkdir(parents=True, exist_ok=True)
        attempt = Attempt(id=os.urandom(16).hex(), file=folder / os.urandom(16).hex())
        # Other processes see it only after it is locked.
        hidden = folder.parent / f".{attempt.file.name}"
        with hidden.open("w") as lock:
            lock.write(attempt.id)
            lock.flush()
            fcntl.flock(lock, fcntl.LOCK_EX)
            hidden.rename(attempt.file)
            yield attempt

    def abandoned(self, store: str) -> Iterator[Attempt]:
        """The killed trainings on a store, whose runs are still open; each is locked while it is yielded."""
        for file in sorted(self._folder(store).glob("*")):
            try:
                with file.open() as lock:
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    yield Attempt(id=lock.read(), file=file)
            except (BlockingIOError, FileNotFoundError):
                continue  # it is running, or another process closed it

    def _folder(self, store: str) -> Path:
        return self._state / sha256(store.encode())[:16]
