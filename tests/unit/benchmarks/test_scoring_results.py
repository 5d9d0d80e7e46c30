"""The benchmark of scoring requests refuses answers that differ, and counts what was measured."""

from pathlib import Path

import pytest

from benchmarks import page
from benchmarks import scoring_results as scoring

SAME = {scoring.STOCK: {b'{"predictions": [1.0]}'}, scoring.OURS: {b'{"predictions": [1.0]}'}}


def test_the_same_answers_are_accepted() -> None:
    """
    MLServer may write the same values in other bytes.
    """
    answers = {**SAME, scoring.MLSERVER: {b'{"predictions":[1.0]}'}}

    scoring.require_same(answers)


@pytest.mark.parametrize(
    ("server", "answer"),
    [
        (scoring.OURS, b'{"predictions":[1.0]}'),
        (scoring.SLOW, b'{"predictions": [1.0000001]}'),
        (scoring.MLSERVER, b'{"predictions": [1.0000001]}'),
        (scoring.MLSERVER, b'{"predictions": [1]}'),
    ],
    ids=["other bytes", "another value", "another value of MLServer", "another type"],
)
def test_other_answers_end_the_measurement(server: str, answer: bytes) -> None:
    """
    A server that is fast because it answers something else is not compared.
    """
    with pytest.raises(SystemExit, match="The answers differ"):
        scoring.require_same({**SAME, server: SAME.get(server, set()) | {answer}})


def test_a_row_is_compared_with_the_first_server() -> None:
    """
    Rate and processor time as factors that are above 1 where this server is better, and nearest-rank percentiles.
    """
    stock, ours = scoring.Turns(), scoring.Turns()
    for turns, pace in ((stock, 10.0), (ours, 1.0)):
        for _ in range(2):
            turns.add([pace * number for number in range(1, 51)], 5 * pace, pace)

    lines = list(scoring.rows(scoring.Load(13, 10_000), 2, 8, {scoring.STOCK: stock, scoring.OURS: ours}))

    assert [
        "| 10,000 × 13 | 2 | 8 | MLflow's server | 1.0 | 1.0 | 250.0 | 480.0 | 500.0 | 200.0 | 1.0 | 100 |",
        "| 10,000 × 13 | 2 | 8 | this server | 10.0 | 10.0 | 25.0 | 48.0 | 50.0 | 20.0 | 10.0 | 100 |",
    ] == lines


def test_every_line_of_a_table_has_the_columns_of_its_head() -> None:
    """
    And the page has all of them, the short table first.
    """
    turns = scoring.Turns()
    turns.add([1.0], 1.0, 1.0)
    lines = list(scoring.rows(scoring.Load(13, 1), 4, 64, {scoring.STOCK: turns}))

    table = [line for line in scoring.section(lines, "about").splitlines() if line.startswith("|")]

    assert [9] * 3 + [13] * 3 == [line.count("|") for line in table]


def test_the_short_table_has_the_range_of_the_factors_of_each_size() -> None:
    """
    Of all numbers of workers and clients; a server that was not measured has none.
    """
    lines = [
        f"| 1 × {columns} | {workers} | {clients} | {server} | 9.0 | {factor} | {p50} | 1.0 | 1.0 | 1.0 | {cpu} | 9 |"
        for columns, workers, clients, server, factor, p50, cpu in (
            (13, 1, 1, scoring.STOCK, 1.0, 4.3, 1.0),
            (13, 1, 1, scoring.OURS, 3.8, 1.2, 3.7),
            (13, 2, 8, scoring.OURS, 10.0, 6.0, 4.7),
            (600, 1, 1, scoring.OURS, 69.2, 2.0, 71.4),
        )
    ]

    assert [
        "| 1 × 13 | 4.3 | – | 1.2 | – | 3.8–10.0 | – | 3.7–4.7 |",
        "| 1 × 600 | – | – | 2.0 | – | 69.2–69.2 | – | 71.4–71.4 |",
    ] == list(scoring.summary(lines))


def test_a_section_is_written_again_from_its_own_text() -> None:
    """
    So that another form of the page needs no measurement.
    """
    turns = scoring.Turns()
    turns.add([1.0], 1.0, 1.0)
    lines = list(scoring.rows(scoring.Load(13, 10_000), 4, 64, {scoring.STOCK: turns, scoring.OURS: turns}))
    about = f"Measured with MLflow 3.17.2{' and more' * 30}."

    written = scoring.section(lines, about)

    assert (lines, about) == (scoring.measured_rows(written), scoring.about_measurement(written))


def test_the_short_table_of_the_page_is_what_its_rows_come_to(root: Path) -> None:
    """
    Its numbers are computed, not written by hand.
    """
    text = page.section((root / "docs/benchmarks.md").read_text(), "scoring.py").strip()

    lines = scoring.measured_rows(text)

    assert (True, text) == (len(lines) > 50, scoring.section(lines, scoring.about_measurement(text)))
