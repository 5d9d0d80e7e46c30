"""Remembers how long the parts of a step took on this machine, to tell how long they may take the next time."""

import json
from collections.abc import Mapping
from contextlib import suppress
from hashlib import sha256
from pathlib import Path

from ..command.errors import StepError
from ..core.security.documents import parse_json
from ..tools.project.files import write_atomically

_RUNS, _PARTS = 5, 200  # kept of a part, and of a project
_LONGEST = 1 << 20  # bytes of the file


class Durations:
    """
    The seconds of the last runs of each part, in a file for each project.

    What cannot be read or written is left out: nothing but the display depends on it.
    """

    def __init__(self, cache: Path, project: Path) -> None:
        """`cache` is the folder for what may be deleted, `project` the folder of the project."""
        self._file = cache / "durations" / f"{sha256(bytes(project)).hexdigest()[:16]}.json"
        self._before = _read(self._file)

    def expected(self, part: str) -> float | None:
        """The seconds that a part usually takes, None if it was never completed."""
        runs = self._before.get(part)
        return sorted(runs)[len(runs) // 2] if runs else None

    def add(self, measured: Mapping[str, float]) -> None:
        """Add the seconds of parts that were completed."""
        now = _read(self._file)  # another process may have added some
        for part, seconds in measured.items():
            now[part] = [*now.pop(part, []), round(seconds, 1)][-_RUNS:]
        newest = dict(list(now.items())[-_PARTS:])
        with suppress(StepError):
            write_atomically(self._file, json.dumps(newest).encode())


def _read(file: Path) -> dict[str, list[float]]:
    try:
        with file.open("rb") as opened:
            content = parse_json(opened.read(_LONGEST))
    except (OSError, ValueError):
        return {}
    parts = content.items() if isinstance(content, dict) else ()
    return {
        part: [run for run in runs if isinstance(run, (int, float)) and 0 <= run < float("inf")]
        for part, runs in parts
        if isinstance(runs, list)
    }
