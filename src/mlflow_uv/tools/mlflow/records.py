"""Reads and writes release records: one JSON file a release, replaced atomically."""

import fcntl
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import get_ident

from ...command.errors import BadInput
from ...command.host import Host
from ...command.wording import Wording, option, step_call
from ...core.release.digests import sha256
from ...core.release.record import Record, from_json
from ...core.security.documents import parse_json
from ..project.files import bounds_of, path_from, target_of, write_atomically


class Records:
    """Reads and writes release records."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._held: set[tuple[Path, int]] = set()  # by the thread that has the lock

    def path(self, given: Path | None, project: Path) -> Path:
        """The record's file: the one named, relative to the current folder, else the project's in our state folder."""
        if given is not None:
            return self._host.folder / given
        key = sha256(bytes(project.absolute()))[:12]
        return self._host.state / "records" / f"{project.absolute().name}-{key}" / "record.json"

    @contextmanager
    def locked(self, path: Path, *, waiting: Callable[[], None]) -> Iterator[None]:
        """
        Lock a record for one release at a time; `waiting` is called once if another process holds the lock.

        A step of a release has the lock of that already.
        """
        folder = self._host.state / "locks"
        folder.mkdir(parents=True, exist_ok=True)
        place = folder / sha256(bytes(path.absolute()))[:16]
        holder = (place, get_ident())
        if holder in self._held:
            yield
            return
        with place.open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                waiting()
                fcntl.flock(lock, fcntl.LOCK_EX)
            self._held.add(holder)
            try:
                yield
            finally:
                self._held.remove(holder)

    def load(self, path: Path) -> Record:
        """Read a record. Raises BadInput that says what is wrong with it, and whose fix names its file."""
        named = {} if path.is_relative_to(self._host.state) else {"record": path_from(self._host.folder, path)}
        try:
            return from_json(parse_json(path.read_text(encoding="utf-8")))
        except FileNotFoundError:
            raise BadInput(
                what=f"there is no release record at `{path}`",
                why="log-model creates it",
                fix=Wording(step_call("log-model", **named), ", or ", option("record", "FILE")),
            ) from None
        except OSError as error:
            raise BadInput(
                what=f"`{path}` cannot be read", why=error.strerror or str(error), fix=option("record", "FILE")
            ) from error
        except ValueError as error:
            raise BadInput(
                what=f"`{path}` is not a release record", why=str(error), fix=step_call("release", **named)
            ) from error

    def save(self, path: Path, record: Record) -> None:
        """Replace the file of a record atomically."""
        text = json.dumps(record.to_json(), indent=2, ensure_ascii=False) + "\n"
        write_atomically(path, text.encode(), within=self.bounds_of(path))

    def stage(self, path: Path, record: Record) -> None:
        """
        Keep a record in our state folder until `take_staged` writes it to its file.

        Raises BadInput, as `save` would, for a file that a link leads out of its checkout.
        """
        target_of(path, self.bounds_of(path))
        self.save(self._staged(path), record)

    def staged(self, path: Path) -> Record | None:
        """The record that was staged for a file and not written to it; None if there is none that can be read."""
        try:
            return self.load(self._staged(path))
        except BadInput:
            return None

    def take_staged(self, path: Path, record: Record) -> None:
        """Write the staged record to its file."""
        self.save(path, record)
        self.drop_staged(path)

    def drop_staged(self, path: Path) -> None:
        """Remove the record that is staged for a file."""
        self._staged(path).unlink(missing_ok=True)

    def _staged(self, path: Path) -> Path:
        return self._host.state / "staged" / f"{sha256(bytes(path.absolute()))[:16]}.json"

    def bounds_of(self, path: Path) -> Path | None:
        """The checkout that a record was named in, and no link of which may lead out; None for a folder of ours."""
        return None if path.is_relative_to(self._host.state) else bounds_of(path)
