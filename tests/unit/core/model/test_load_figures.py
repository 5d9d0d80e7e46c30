"""What is computed from a measurement, and what is refused as one."""

import json
import math

import pytest

from mlflow_uv.core.model.load_figures import MIB, LoadFigures, load_figures

MEASURED = {
    "milliseconds": [1.0, 2.0, 3.0, 100.0],
    "failed": 1,
    "seconds": 2.0,
    "memory": [10 * MIB, 30 * MIB, 25 * MIB],
}


def test_figures_are_percentiles_a_rate_and_memory() -> None:
    """
    Growth is from the start to the end, and the peak may lie between.
    """
    figures = load_figures(json.dumps(MEASURED), ready_s=4.0)

    assert {
        "ready-seconds": 4.0, "p50-milliseconds": 2.0, "p95-milliseconds": 100.0, "requests-per-second": 2.0,
        "memory-mib": 30.0, "memory-growth-mib": 15.0,
    } == dict(figures.recorded)  # fmt: skip


def test_a_histogram_has_a_row_for_each_range_that_occurs() -> None:
    """
    Its longest bar is the most frequent range.
    """
    _, histogram = load_figures(json.dumps({**MEASURED, "milliseconds": [1.0, 1.5, 1.6, 40.0]}), ready_s=0).tables

    assert [("1", "1", 15), ("2", "2", 30), ("50", "1", 15)] == [
        (bound, count, len(bar)) for bound, count, bar in histogram.rows
    ]


@pytest.mark.parametrize(
    "text",
    [
        "", "[]", "null", "{", '{"milliseconds": [NaN], "failed": 0, "seconds": 1, "memory": [1, 1, 1]}',
        json.dumps({**MEASURED, "seconds": -1}), json.dumps({**MEASURED, "memory": [1]}),
        json.dumps({**MEASURED, "milliseconds": ["x"]}), json.dumps({**MEASURED, "milliseconds": [1e999]}),
        json.dumps({**MEASURED, "milliseconds": [1] * 20_001}),
    ],
)  # fmt: skip
def test_what_is_no_measurement_is_refused(text: str) -> None:
    """
    It may come from a model's container.
    """
    with pytest.raises(ValueError, match="the measurement"):
        load_figures(text, ready_s=0)


def test_without_answers_a_percentile_is_infinite() -> None:
    """
    So that no budget holds.
    """
    assert math.inf == LoadFigures(ready_s=1, failed=3).percentile(50)
