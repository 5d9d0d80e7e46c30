"""Parses what was measured of a server under load, and shows it as figures and a histogram."""

import math
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from ...command.report import Table
from ...payloads.messages.lazy_dataclass import lazy_dataclass
from ..security.documents import parse_json

MIB = 1 << 20
MOST_REQUESTS = 20_000
_BAR = 30  # characters of the longest bar
# Upper bounds of latencies in milliseconds, from 0.1 ms to 1000 s: the preferred numbers R10 of ISO 3. A longer
# latency counts in the last range.
BOUNDS = (
    *(
        float(f"{factor}e{exponent}")
        for exponent in range(-1, 6)
        for factor in ("1", "1.25", "1.6", "2", "2.5", "3.15", "4", "5", "6.3", "8")
    ),
    1e6,
)
_SIZES = 3  # before, highest, after


@lazy_dataclass
class LoadFigures:
    """
    Figures of a tested server: seconds until it was healthy, and under load the latencies of answered requests.

    `failed` is the number of other requests, `seconds` the duration of the load. Memory is in bytes; `memory_growth` is
    that from the start of the load to its end, at least 0.
    """

    ready_s: float
    milliseconds: tuple[float, ...] = ()
    failed: int = 0
    seconds: float = 0.0
    memory_peak: int = 0
    memory_growth: int = 0

    @property
    def requests_per_second(self) -> float:
        """Answered requests per second."""
        return len(self.milliseconds) / self.seconds if self.seconds else 0.0

    def percentile(self, percent: int) -> float:
        """See `percentile`."""
        return percentile(self.milliseconds, percent)

    @property
    def recorded(self) -> tuple[tuple[str, float], ...]:
        """The figures for the record, by name; without a load only the time until the server was healthy."""
        ready = (("ready-seconds", round(self.ready_s, 3)),)
        if not self.milliseconds:
            return ready
        return (
            *ready,
            ("p50-milliseconds", round(self.percentile(50), 3)),
            ("p95-milliseconds", round(self.percentile(95), 3)),
            ("requests-per-second", round(self.requests_per_second, 1)),
            ("memory-mib", round(self.memory_peak / MIB, 1)),
            ("memory-growth-mib", round(self.memory_growth / MIB, 1)),
        )

    @property
    def histogram(self) -> tuple[tuple[float, int], ...]:
        """The latencies for the record, see `latency_histogram`."""
        return latency_histogram(self.milliseconds)

    @property
    def tables(self) -> tuple[Table, ...]:
        """The figures, and a histogram of the latencies if there are any."""
        rows = tuple((name, f"{value:g}") for name, value in self.recorded)
        figures = Table(title="Figures of the server", columns=("figure", "value"), rows=rows)
        if not self.milliseconds:
            return (figures,)
        histogram = Table(title="Latencies", columns=("up to ms", "requests", ""), rows=tuple(self._histogram_rows()))
        return figures, histogram

    def _histogram_rows(self) -> Iterator[tuple[str, str, str]]:
        highest = max(number for _, number in self.histogram)
        for bound, number in self.histogram:
            yield f"{bound:g}", str(number), "█" * max(1, round(_BAR * number / highest))


def latency_histogram(milliseconds: Iterable[float]) -> tuple[tuple[float, int], ...]:
    """The upper bound of each range that occurs, in ascending order, with its number of latencies."""
    counts = Counter(BOUNDS[min(bisect_left(BOUNDS, value), len(BOUNDS) - 1)] for value in milliseconds)
    return tuple(sorted(counts.items()))


def without_gaps(histogram: Iterable[tuple[float, int]]) -> tuple[tuple[float, int], ...]:
    """The histogram with the ranges in which no latency was, from its first range to its last."""
    counts = dict(histogram)
    between = {bound for bound in BOUNDS if min(counts) <= bound <= max(counts)} if counts else set()
    return tuple((bound, counts.get(bound, 0)) for bound in sorted(between | counts.keys()))


def percentile(milliseconds: Sequence[float], percent: int) -> float:
    """The smallest latency that this share of the requests does not exceed; infinite if none was answered."""
    if not milliseconds:
        return math.inf
    return sorted(milliseconds)[max(0, math.ceil(len(milliseconds) * percent / 100) - 1)]


def load_figures(text: str, *, ready_s: float) -> LoadFigures:
    """
    Parse what installing/load.py prints. Raises ValueError for anything else.

    It may come from a model's container, so numbers that are not finite or negative are refused too.
    """
    try:
        answer = parse_json(text)
        taken = tuple(float(value) for value in answer["milliseconds"])
        memory = [int(value) for value in answer["memory"]]
        failed, seconds = int(answer["failed"]), float(answer["seconds"])
    except (ValueError, TypeError, KeyError, OverflowError, RecursionError) as error:
        raise ValueError(f"the measurement cannot be read: {error!r}") from error
    numbers = (*taken, *memory, failed, seconds)
    if len(memory) != _SIZES or len(taken) > MOST_REQUESTS or not all(0 <= value < math.inf for value in numbers):
        raise ValueError("the measurement has numbers that cannot be")
    return LoadFigures(
        ready_s=ready_s,
        milliseconds=taken,
        failed=failed,
        seconds=seconds,
        memory_peak=memory[1],
        memory_growth=max(0, memory[2] - memory[0]),
    )
