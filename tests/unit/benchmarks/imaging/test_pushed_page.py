"""The page says where a composed image is slower than stock's, also if nobody wants to read it."""

import pytest

from benchmarks.imaging.pushed_page import slower

FASTER = {"stock": [9.0, 5.0], "composed": [4.0, 3.0]}


@pytest.mark.parametrize(
    ("composed", "answers", "alone"),
    [
        ([12.0, 8.0], "after a change of the largest package (12.0 s, stock 9.0 s)", "(8.0 s, stock 5.0 s)"),
        ([8.0, 6.0], "nowhere", "after a change of the largest package (6.0 s, stock 5.0 s)"),
        ([8.0, 4.0], "nowhere", "nowhere"),
    ],
    ids=["both", "the pull alone", "neither"],
)
def test_where_a_pull_is_slower_than_that_of_stock_is_said(composed: list[float], answers: str, alone: str) -> None:
    """
    From the pull to the answer, and of the pull alone; cases that were not measured are not named.
    """
    text = slower({"model": FASTER, "large": {"stock": FASTER["stock"], "composed": composed}})

    first, second = text.split("\n")
    assert f"**A composed image is slower than stock's {answers}.**" == first
    assert second.startswith("The pull alone is slower ")
    assert second.endswith(f"{alone}.")
