"""The benchmark of scoring requests refuses answers that differ, and counts what was measured."""

import pytest

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


def test_every_line_of_the_table_has_the_columns_of_its_head() -> None:
    """
    And the page has all of them.
    """
    turns = scoring.Turns()
    turns.add([1.0], 1.0, 1.0)
    lines = list(scoring.rows(scoring.Load(13, 1), 4, 64, {scoring.STOCK: turns}))

    table = [line for line in scoring.section(lines, "about").splitlines() if line.startswith("|")]

    assert (3, {13}) == (len(table), {line.count("|") for line in table})
