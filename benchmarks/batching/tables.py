"""Writes the numbers of a run as the tables of a section."""

import statistics
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from .sides import FORMATS, HAND, SCORE, STOCK, WORKERS, on_spark

TITLES = {
    SCORE: "`mlflow-uv score`, one process",
    HAND: "by hand, one pandas process",
    STOCK: "`mlflow models predict`",
    **{
        on_spark(way, workers): f"{words}, {workers} worker{'s' if workers > 1 else ''}"
        for workers in WORKERS
        for way, words in ((SCORE, "`mlflow-uv score` on Spark"), (HAND, "`spark_udf` by hand"))
    },
}
TIMES_BY_HAND, TIMES_STOCK, TIMES_SPARK, MOST_MB, SPREAD = 1.2, 0.5, 1.0, 1000, 0.1
MEGABYTE = 1e6
UNKNOWN = "–"  # Spark's processes are not children of the command
Key = tuple[str, str, int]


def medians(runs: Sequence[Mapping[str, Any]]) -> dict[Key, dict[str, float]]:
    """The medians of the runs of each way, by way, format and number of rows, in the order of the runs."""
    by_key: dict[Key, list[Mapping[str, Any]]] = {}
    for run in runs:
        by_key.setdefault((run["way"], run["format"], run["rows"]), []).append(run)
    return {
        key: {name: statistics.median(run[name] for run in group) for name in ("seconds", "processor", "bytes")}
        for key, group in by_key.items()
    }


def results(numbers: Mapping[str, Any]) -> str:
    """A row for each way."""
    lines = [
        "| table | way | seconds | processor seconds | rows per second | peak memory |",
        "|---|---|---:|---:|---:|---:|",
    ]
    for (way, kind, rows), measured in medians(numbers["runs"]).items():
        speed, memory = rows / measured["seconds"], measured["bytes"] / MEGABYTE
        used = f"{measured['processor']:.1f}", f"{memory:.0f} MB"
        processor, peak = used if way in (SCORE, HAND, STOCK) else (UNKNOWN, UNKNOWN)
        values = f"{measured['seconds']:.1f} | {processor} | {speed:,.0f} | {peak}"
        lines.append(f"| {kind}, {rows:,} rows | {TITLES[way]} | {values} |")
    return "\n".join(lines)


def targets(numbers: Mapping[str, Any]) -> str:
    """A row for each target; one that is missed is bold, and one that was not measured is left out."""
    lines = ["| target | result |", "|---|---|"]
    for target, value, limit, shown in _compared(medians(numbers["runs"]), numbers["rows"]):
        lines.append(f"| {target} | {shown if value <= limit else f'**{shown}**'} |")
    return "\n".join(lines)


def _compared(by_key: Mapping[Key, Mapping[str, float]], rows: int) -> Iterator[tuple[str, float, float, str]]:
    for kind in FORMATS:
        ours = by_key.get((SCORE, kind, rows))
        pairs = [
            (SCORE, HAND, TIMES_BY_HAND, f"at most {TIMES_BY_HAND} times by hand"),
            (SCORE, STOCK, TIMES_STOCK, "at most half of `mlflow models predict`"),
            *(
                (
                    on_spark(SCORE, count),
                    on_spark(HAND, count),
                    TIMES_SPARK,
                    f"not slower than {TITLES[on_spark(HAND, count)]}",
                )
                for count in WORKERS
            ),
        ]
        for way, other, limit, words in pairs:
            one, two = by_key.get((way, kind, rows)), by_key.get((other, kind, rows))
            if one and two:
                value = one["seconds"] / two["seconds"]
                yield f"{kind}: {words}", value, limit, f"{value:.2f} times"
        few = by_key.get((SCORE, kind, rows // 10))
        if ours and few:
            memory = ours["bytes"] / MEGABYTE
            yield f"{kind}: memory under {MOST_MB} MB", memory, MOST_MB, f"{memory:.0f} MB"
            spread = abs(ours["bytes"] - few["bytes"]) / few["bytes"]
            yield f"{kind}: memory within {SPREAD:.0%} of that for a tenth of the rows", spread, SPREAD, f"{spread:.0%}"
