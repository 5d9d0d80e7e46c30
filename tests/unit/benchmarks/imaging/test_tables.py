"""The sentences and tables of the page follow from the numbers, unfavourable ones included."""

from typing import Any

import pytest

from benchmarks.imaging.tables import TARGETS, again, builds, complaints, serve_again, serving, summary

Numbers = dict[str, Any]


def rows(table: str) -> dict[str, str]:
    """The last column of a table by its first."""
    return {line.split(" | ")[0].strip("| "): line.split(" | ")[-1].strip("| ") for line in table.splitlines()[2:]}


def test_an_aim_that_is_missed_is_bold_and_one_that_is_reached_is_not(numbers: Numbers) -> None:
    """
    Five times as fast misses "6 times faster" and reaches "2.2 times faster"; a fifth of the size reaches 0.7.
    """
    cells = rows(summary(numbers))

    found = [cells[words] for words in ("cold build: 6 times faster", "first response: 2.2 times faster")]
    assert ["**5.00**, slim 10", "5.00, slim 10"] == found
    assert "0.20, slim 0.10" == cells["size: at most 0.7, slim 0.45"]


@pytest.mark.parametrize("words", [aim.words for aim in TARGETS if not aim.words.startswith("…")])
def test_every_aim_is_missed_by_who_is_worse_than_stock(numbers: Numbers, words: str) -> None:
    """
    Which way is better is never mistaken: with the sides swapped, nothing is reached.
    """
    sides = numbers["models"]["wine"]["sides"]
    sides["stock"], sides["locked"], sides["slim"] = sides["slim"], sides["stock"], sides["locked"]

    cells = rows(summary(numbers))[words]

    assert 2 == cells.count("**") / 2


def test_an_aim_is_judged_as_exactly_as_it_is_told(numbers: Numbers) -> None:
    """
    0.7049 is told as 0.70 and reaches 0.7, 0.7051 is told as 0.71 and does not.
    """
    sides = numbers["models"]["wine"]["sides"]
    found = []

    for size in (704.9e6, 705.1e6):
        sides["locked"]["size"] = size
        found.append(rows(summary(numbers))["size: at most 0.7, slim 0.45"])

    assert ["0.70, slim 0.10", "**0.71**, slim 0.10"] == found


def test_what_a_side_could_not_do_is_told_and_compares_with_nothing(numbers: Numbers) -> None:
    """
    A stock image that does not serve leaves dashes, not ratios to nothing, and a line that says so.
    """
    stock = numbers["models"]["wine"]["sides"]["stock"]
    del stock["served"]["4"], stock["first"]
    stock["complaints"].append("does not serve with 4 workers")

    cells = rows(summary(numbers))

    assert "–" == cells["first response: 2.2 times faster"] == cells["p50 (workers: 4): not worse"]
    assert "- Wine & cheese, stock: does not serve with 4 workers" == complaints(numbers)


def test_builds_and_requests_are_told_as_measured(numbers: Numbers) -> None:
    """
    Seconds, megabytes and milliseconds, with a dash for what was not measured.
    """
    lines = [*builds(numbers).splitlines()[2:4], *serving(numbers).splitlines()[2:4]]

    assert [
        "| Wine & cheese | cold build | 60.0 s (50.0 s) | 12.0 s (10.0 s) | 6.0 s (5.0 s) |",
        "|  | cold build with cached downloads | – | – | – |",
        "| Wine & cheese | 1 | stock | 10.0, 20.0 ms | 100 | 400 (500, 300) MB |",
        "| Wine & cheese | 1 | locked | 2.0, 4.0 ms | 500 | 80 (100, 60) MB |",
    ] == lines


def test_a_model_that_was_served_again_keeps_its_builds(numbers: Numbers) -> None:
    """
    Starts and memory are the new ones, and the page says when; a side that failed this time has no old number.
    """
    model = numbers["models"]["wine"]
    cold = {side: model["sides"][side]["cold"] for side in ("stock", "locked", "slim")}
    served = model["sides"]["stock"]["served"]["1"]
    model["sides"]["slim"]["complaints"] = ["does not serve with 2 workers", "cannot be built (model)"]
    new = {
        "stock": {"complaints": [], "first": 4.25, "served": {"1": served}},
        "locked": {"complaints": [], "first": 1.75, "served": {}},
        "slim": {"complaints": ["does not serve with 1 workers"]},
    }
    said = again(numbers)

    serve_again(numbers, "wine", new, {"date": "2026-01-02", "load": 0.5})

    sentence = f"measured again: {model['title']} on 2026-01-02 at a load of 0.5."
    assert cold == {side: model["sides"][side]["cold"] for side in cold}
    assert "4.2 s | 1.8 s | –" in builds(numbers)
    assert ["cannot be built (model)", "does not serve with 1 workers"] == model["sides"]["slim"]["complaints"]
    assert ("", True) == (said, again(numbers).endswith(sentence))
