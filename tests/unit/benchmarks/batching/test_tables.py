"""The tables of a run: a missed target is bold, and one that was not measured is left out."""

from typing import Any

from benchmarks.batching.chart import chart
from benchmarks.batching.tables import medians, results, targets


def run(way: str, seconds: float, *, rows: int = 100, megabytes: float = 300) -> dict[str, Any]:
    """A measurement."""
    return {
        "way": way, "format": "csv", "rows": rows, "seconds": seconds, "processor": seconds, "bytes": megabytes * 1e6,
    }  # fmt: skip


RUNS = [
    run("score", 5, rows=10),
    run("score", 11),
    run("score", 13),
    run("score", 12),
    run("by-hand", 10),
    run("mlflow-predict", 20, megabytes=2000),
    run("score-spark-1", 9),
]
NUMBERS: dict[str, Any] = {"rows": 100, "runs": RUNS}


def test_targets_compare_medians() -> None:
    """
    1.2 times by hand is within the target, 0.6 of MLflow's command is not.
    """
    lines = targets(NUMBERS).splitlines()

    assert [
        "| csv: at most 1.2 times by hand | 1.20 times |",
        "| csv: at most half of `mlflow models predict` | **0.60 times** |",
        "| csv: memory under 1000 MB | 300 MB |",
        "| csv: memory within 10% of that for a tenth of the rows | 0% |",
    ] == lines[2:]
    assert 12 == medians(RUNS)["score", "csv", 100]["seconds"]


def test_every_way_is_a_row_and_a_bar() -> None:
    """
    The picture has the ways on the largest table only.
    """
    table, picture = results(NUMBERS), chart(NUMBERS)

    assert 2 + 5 == len(table.splitlines())
    assert (4, 2) == (picture.count("<rect"), picture.count('class="ours"'))
