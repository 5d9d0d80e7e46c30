"""Describes how far a run has got, how fast it is and how long it will take."""

from ...payloads.messages.lazy_dataclass import lazy_dataclass

_MINUTE_S, _HOUR_S = 60, 3600


@lazy_dataclass
class Pace:
    """
    The progress of a run: rows and seconds since it started.

    `share_before` and `share` are the shares of the input that were done when it started and are done now (0 to 1).
    """

    rows: int
    seconds: float
    share_before: float
    share: float

    @property
    def rows_a_second(self) -> float:
        """Rows a second since the start."""
        return self.rows / self.seconds if self.seconds > 0 else 0.0

    @property
    def left_s(self) -> float | None:
        """Seconds that the rest takes at this speed, None if there is no speed yet."""
        done = self.share - self.share_before
        return self.seconds * max(0.0, 1 - self.share) / done if done > 0 and self.seconds > 0 else None

    @property
    def text(self) -> str:
        """One line, such as `41% · 2,400,000 rows · 51,300 rows/s · 1 min 10 s left`."""
        parts = [f"{self.share:.0%}", f"{self.rows:,} rows", f"{self.rows_a_second:,.0f} rows/s"]
        if self.left_s is not None:
            parts.append(f"{duration(self.left_s)} left")
        return " · ".join(parts)


def duration(seconds: float) -> str:
    """Return a duration as `9 s`, `1 min 10 s` or `2 h 5 min`."""
    whole = round(seconds)
    if whole < _MINUTE_S:
        return f"{whole} s"
    if whole < _HOUR_S:
        return f"{whole // _MINUTE_S} min {whole % _MINUTE_S} s"
    return f"{whole // _HOUR_S} h {whole % _HOUR_S // _MINUTE_S} min"
