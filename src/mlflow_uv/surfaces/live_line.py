"""Shows on the last line of a terminal what is going on, for how long, and how long it usually takes."""

import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Condition, RLock, Thread
from typing import TextIO

from ..command.host import Host
from ..command.lazy_pattern import lazy_pattern
from ..core.scoring.pace import duration
from ..payloads.messages.lazy_dataclass import lazy_dataclass
from .cells import cut
from .durations import Durations

FIRST_S, EVERY_S = 0.5, 1.0  # until something is shown at all, and between two states of the clock
_LEAST_S = 0.1  # between two lines of a program that prints many
_SHORT_S = 2.0  # what usually takes less is over before it is read
_COLUMNS = 80
_VARYING = lazy_pattern(r"\S*\d\S*")  # numbers, versions and ids: parts that differ in them are compared
_ERASED = "\r\x1b[K"


@lazy_dataclass
class _RunningPart:
    """What is going on, its name among the durations, when it began, and how long it usually takes."""

    name: str
    key: str
    began_s: float
    expected_s: float | None


class LiveLine:
    """
    The line below everything that is printed, drawn by a thread of its own.

    It never hides the cursor, and takes one row of a terminal of any size, which is asked each time. `dim` are the
    attributes of its colour, empty for none.
    """

    def __init__(
        self,
        stream: TextIO,
        *,
        durations: Durations | None,
        dim: str,
        now_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._stream, self._durations, self._dim, self._now_s = stream, durations, dim, now_s
        self._turn = Condition(RLock())
        self._parts: list[_RunningPart] = []
        self._measured: dict[str, float] = {}
        self._newest = ""
        self._is_shown = self._is_stale = False
        self._clock: Thread | None = None

    @contextmanager
    def part(self, name: str) -> Iterator[None]:
        """Show a part of what is going on while the block runs, in place of an outer one; measure it if it succeeds."""
        part = self._begin(name)
        try:
            yield
            self._measured[part.key] = self._now_s() - part.began_s
        finally:
            self._end(part)

    @contextmanager
    def above(self) -> Iterator[None]:
        """Let the block print lines, above the line and at once, whichever thread it runs in."""
        with self._turn:
            self._erase()
            yield
            self._draw_soon()

    def show(self, text: str) -> None:
        """Show the newest line of a program."""
        with self._turn:
            self._newest = text
            self._draw_soon()

    @property
    def text(self) -> str:
        """The line as it is now, empty if nothing is going on."""
        if not self._parts:
            return ""
        part = self._parts[-1]
        elapsed_s = self._now_s() - part.began_s
        time_taken = duration(elapsed_s)
        if part.expected_s is not None and part.expected_s >= _SHORT_S:
            relation = " of about" if elapsed_s <= part.expected_s else ", usually"
            time_taken = f"{time_taken}{relation} {duration(part.expected_s)}"
        return " · ".join(filter(None, (f"  {time_taken}", part.name, self._newest.strip())))

    def _begin(self, name: str) -> _RunningPart:
        with self._turn:
            outer = self._parts[-1].key + "/" if self._parts else ""
            key = outer + _VARYING.sub("#", name)
            expected_s = self._durations.expected(key) if self._durations else None
            part = _RunningPart(name=name, key=key, began_s=self._now_s(), expected_s=expected_s)
            self._parts.append(part)
            self._newest = ""
            if self._clock is None:
                self._clock = Thread(target=self._run, daemon=True)
                self._clock.start()
            return part

    def _end(self, part: _RunningPart) -> None:
        """End a part; after the last one nothing is drawn any more."""
        with self._turn:
            self._parts.remove(part)
            self._newest = ""
            self._erase()
            self._draw_soon()
            clock = self._clock
            if self._parts or clock is None:
                return
            self._clock = None
            self._turn.notify_all()
        clock.join()
        if self._durations:
            self._durations.add(self._measured)

    def _run(self) -> None:
        """Draw the line after a moment, once a second, and when there is something new."""
        with self._turn:
            self._turn.wait_for(lambda: self._clock is None, FIRST_S)
            while self._clock is not None:
                try:
                    self._draw()
                except (OSError, ValueError):  # the terminal is gone
                    return
                self._turn.wait_for(lambda: self._clock is None, _LEAST_S)
                self._turn.wait_for(lambda: self._clock is None or self._is_stale, EVERY_S - _LEAST_S)

    def _draw_soon(self) -> None:
        self._is_stale = True
        self._turn.notify_all()

    def _draw(self) -> None:
        self._is_stale = False
        line = cut(self.text, self._columns() - 1)  # in the last column some terminals begin a row
        self._stream.write(f"{_ERASED}\x1b[{self._dim}m{line}\x1b[0m" if self._dim else f"{_ERASED}{line}")
        self._stream.flush()
        self._is_shown = True

    def _erase(self) -> None:
        if self._is_shown:
            self._is_shown = False
            self._stream.write(_ERASED)
            self._stream.flush()

    def _columns(self) -> int:
        try:
            return os.get_terminal_size(self._stream.fileno()).columns or _COLUMNS
        except (OSError, ValueError):
            return _COLUMNS


def live_line(stream: TextIO, project: Path, *, dim: str) -> LiveLine:
    """The line for a step on a project, with the durations that this user's machine remembers."""
    host = Host.of(os.environ, folder=Path.cwd(), python=Path(sys.executable))
    return LiveLine(stream, durations=Durations(host.cache, project), dim=dim)
