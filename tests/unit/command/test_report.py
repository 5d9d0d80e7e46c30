"""What a report counts, and when it is a failure."""

import pytest

from mlflow_uv.command.report import Finding, Report, Severity, counted, first_names


@pytest.mark.parametrize(("number", "text"), [(0, "0 rows"), (1, "1 row"), (2, "2 rows")])
def test_a_number_has_its_noun(number: int, text: str) -> None:
    """
    One row, several rows.
    """
    assert text == counted(number, "row")


@pytest.mark.parametrize(
    ("severity", "ok"), [(Severity.ERROR, False), (Severity.WARNING, True), (Severity.NOTICE, True)]
)
def test_only_an_error_fails_a_step(severity: Severity, ok: bool) -> None:
    """
    A warning and a notice are shown.
    """
    finding = Finding(rule="r", what="it is wrong", why="because", fix="uv lock", severity=severity)

    assert ok is Report(outputs=None, summary="", findings=(finding,)).ok
    assert "it is wrong: because. Fix: uv lock" == finding.text


@pytest.mark.parametrize(
    ("number", "text"),
    [(0, ""), (1, "p0"), (5, "p0, p1, p2, p3, p4"), (6, "p0, p1, p2, p3, p4 and 1 more")],
)
def test_of_many_names_the_first_are_shown(number: int, text: str) -> None:
    """
    With how many there are beyond them.
    """
    assert text == first_names([f"p{position}" for position in range(number)])
    assert "p0 and 2 more" == first_names(["p0", "p1", "p2"], most=1)
