"""Tells the time; tests inject another clock."""

import time
from typing import Protocol

from .threads import pause


class Clock(Protocol):
    """A monotonic clock, the date, and sleeping."""

    def now_s(self) -> float:
        """Seconds of a monotonic clock."""

    def date_s(self) -> float:
        """Seconds since 1970-01-01 UTC, by the system's clock."""

    def wait(self, seconds: float) -> None:
        """Sleep. Raises TaskStopped as `threads.pause`."""


class SystemClock:
    """The clock of the system."""

    def now_s(self) -> float:
        """See Clock."""
        return time.monotonic()

    def date_s(self) -> float:
        """See Clock."""
        return time.time()

    def wait(self, seconds: float) -> None:
        """See Clock."""
        pause(seconds)
