"""The page says which aims a step cannot reach, alone and in a release, and why."""

import pytest

from benchmarks.imaging.bounds_page import (
    LEAST,
    LEAST_IN_RELEASE,
    OF_STARTS,
    ROWS,
    Compared,
    bounds,
    bounds_in_release,
    least,
)

CASE = {**dict.fromkeys(ROWS, 0.0), **dict.fromkeys(LEAST, 0.4), "whole": 3.0, "processor": 3.0}
COMPARED = Compared(
    stock={"model": 20.0, "large": 40.0, "small": 80.0}, aims={"model": 100, "large": 20, "small": 20}, processors=2
)


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
    text = bounds({"model": CASE, "large": CASE}, COMPARED)

    words = " ".join(text.split())
    assert "none can reach the aims of: model (100, at most 10.0). The import" in words
    assert "longer than these aims allow for: model." in words
    assert "| how many times faster than stock that is | 10.0 | 20.0 |" in text
    assert not [line for line in text.splitlines() if len(line) > 120]


def test_aims_that_can_be_reached_are_not_listed() -> None:
    """
    One sentence says that all can be reached.
    """
    assert bounds({"small": CASE}, COMPARED).endswith("Each aim can be reached.")


def test_in_a_release_the_import_of_mlflow_counts_for_neither_bound_nor_comparison() -> None:
    """
    The least is what MLflow and the registry answer, or half of the work; stock is compared without its import, too.
    """
    case = {part: seconds for part, seconds in CASE.items() if part not in OF_STARTS}
    case |= {**dict.fromkeys(LEAST_IN_RELEASE, 0.1), "processor": 0.5, "whole": 0.5}

    text = bounds_in_release({"model": case}, COMPARED, import_s=1.5)

    words = " ".join(text.split())
    assert "| how many times faster than stock that is | 80.0 |" in text
    assert "none can reach the aims of: model (100, at most 80.0)." in words
    assert "faster than the rest of its command by: model 37.0." in words
    assert "MLflow is imported" not in text
    assert not [line for line in text.splitlines() if len(line) > 120]
