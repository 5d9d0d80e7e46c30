"""The page says which aims a step that runs alone cannot reach, and why."""

import pytest

from benchmarks.imaging.bounds_page import LEAST, ROWS, bounds, least

CASE = {**dict.fromkeys(ROWS, 0.0), **dict.fromkeys(LEAST, 0.4), "whole": 3.0, "processor": 3.0}


@pytest.mark.parametrize(("processor", "expected"), [(3.0, 2.0), (6.0, 3.0)])
def test_the_least_is_what_cannot_be_divided_or_half_of_the_work(processor: float, expected: float) -> None:
    """
    Of two processors.
    """
    assert pytest.approx(expected) == least({**CASE, "processor": processor}, 2)


def test_an_aim_beyond_the_least_is_named_with_what_can_be_reached() -> None:
    """
    Also where it is the import of MLflow alone that takes too long.
    """
    parts = {"model": CASE, "large": CASE}

    text = bounds(parts, {"model": 20.0, "large": 40.0}, {"model": 100, "large": 20}, processors=2)

    words = " ".join(text.split())
    assert "none can reach the aims of: model (100, at most 10.0). The import" in words
    assert "longer than these aims allow for: model." in words
    assert "| how many times faster than stock that is | 10.0 | 20.0 |" in text
    assert not [line for line in text.splitlines() if len(line) > 120]


def test_aims_that_can_be_reached_are_not_listed() -> None:
    """
    One sentence says that all can be reached.
    """
    assert bounds({"small": CASE}, {"small": 80.0}, {"small": 20}, processors=2).endswith("Each aim can be reached.")
