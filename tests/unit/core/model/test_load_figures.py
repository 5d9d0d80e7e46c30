"""What is computed from a measurement, and what is refused as one."""

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlflow_uv.core.model.load_figures import BOUNDS, MIB, LoadFigures, latency_histogram, load_figures, without_gaps

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

    assert [("1", "1", 15), ("1.6", "2", 30), ("40", "1", 15)] == [
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


def test_a_latency_counts_in_the_smallest_range_that_has_it() -> None:
    """
    A bound belongs to its own range; what is shorter or longer than all ranges is in the first or the last.
    """
    assert ((0.1, 2), (1.0, 1), (1.25, 2), (1e6, 1)) == latency_histogram([1.01, 0.0, 1.0, 1.25, 0.1, 5e9])


@given(st.lists(st.floats(min_value=0, max_value=1e12), max_size=200))
def test_no_latency_is_lost_and_the_size_is_bounded(milliseconds: list[float]) -> None:
    """
    The numbers add up, and the bounds ascend.
    """
    histogram = latency_histogram(milliseconds)

    assert len(milliseconds) == sum(number for _, number in histogram)
    assert len(histogram) <= len(BOUNDS)
    assert histogram == tuple(sorted(dict(histogram).items()))


def test_ranges_without_a_latency_are_shown_between_the_first_and_the_last() -> None:
    """
    Also next to a bound of another program, which stays.
    """
    assert ((1.0, 2), (1.25, 0), (1.3, 4), (1.6, 1)) == without_gaps([(1.0, 2), (1.3, 4), (1.6, 1)])
    assert () == without_gaps([])
