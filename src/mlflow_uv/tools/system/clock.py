"""Tells the time; tests inject another clock."""

import time
from typing import Protocol


class Clock(Protocol):
    """Seconds that only go forward, the date, and waiting."""

    def now_s(self) -> float:
        """Seconds of a monotonic clock."""

    def date_s(self) -> float:
        """Seconds since 1970, as the machine has them."""

    def wait(self, seconds: float) -> None:
        """Let that many seconds pass."""


class SystemClock:
    """The machine's."""

    def now_s(self) -> float:
        """See Clock."""
        return time.monotonic()

    def date_s(self) -> float:
        """See Clock."""
        return time.time()

    def wait(self, seconds: float) -> None:
        """See Clock."""
        time.sleep(seconds)
