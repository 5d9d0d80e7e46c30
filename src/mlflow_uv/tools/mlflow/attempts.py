"""Records trainings, exports and verifications that run, so that a later process knows which of them were killed."""

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
    """A training, export or verification, and the file that exists until it is closed."""

    id: str
    file: Path

    def mark_closed(self) -> None:
        """Delete the file: no run is open, and no model is still tagged with the attempt."""
        self.file.unlink(missing_ok=True)


class Attempts:
    """
    A file for each attempt, locked while it runs: a killed process releases the lock and leaves the file.

    Attempts are found again by their subject, such as the URI of a store. Those that were killed on another machine are
    unknown here.
    """

    def __init__(self, host: Host) -> None:
        self._state = host.state / "attempts"

    @contextmanager
    def start(self, subject: str) -> Iterator[Attempt]:
        """Hold the lock of a new attempt while the block runs; `Attempt.mark_closed` deletes its file."""
        folder = self._folder(subject)
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

    def abandoned(self, subject: str) -> Iterator[Attempt]:
        """The killed attempts that were not closed; each is locked while it is yielded."""
        for file in sorted(self._folder(subject).glob("*")):
            try:
                with file.open() as lock:
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    yield Attempt(id=lock.read(), file=file)
            except (BlockingIOError, FileNotFoundError):
                continue  # it is running, or another process closed it

    def _folder(self, subject: str) -> Path:
        return self._state / sha256(subject.encode())[:16]
