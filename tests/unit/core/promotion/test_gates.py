"""Gates, read and asked: the numbers that are compared are the numbers that are shown."""

import math
import sys
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlflow_uv.core.promotion.gates import GateVerdict, check_gate, read_gate

NUMBERS = st.floats(allow_nan=False, allow_infinity=False, min_value=-1e6, max_value=1e6)


# what may be written


@pytest.mark.parametrize(
    ("text", "metric", "comparison", "factor", "offset"),
    [
        ("accuracy >= 0.9", "accuracy", ">=", None, "0.9"),
        ("log_loss<.3", "log_loss", "<", None, "0.3"),
        ("bias == -1e-3", "bias", "==", None, "-0.001"),
        ("r2 > - 2.", "r2", ">", None, "-2"),
        ("f1_score > champion", "f1_score", ">", "1", "0"),
        ("accuracy >= champion - 0.01", "accuracy", ">=", "1", "-0.01"),
        ("accuracy>=champion-0.01", "accuracy", ">=", "1", "-0.01"),
        ("rmse <= champion + 2", "rmse", "<=", "1", "2"),
        ("latency_p95_ms <= 1.2 * champion", "latency_p95_ms", "<=", "1.2", "0"),
        ("latency_p95_ms <= champion*1.2", "latency_p95_ms", "<=", "1.2", "0"),
        ("a/b.c-d <= 1.2 * champion + 5", "a/b.c-d", "<=", "1.2", "5"),
        ("loss <= champion * 0.5 - 1e2", "loss", "<=", "0.5", "-100"),
        ("`f1 of class 2` >= 0.5", "f1 of class 2", ">=", None, "0.5"),
        ("'champion' >= 0.5", "champion", ">=", None, "0.5"),
        ('"präzision" >= 0.5', "präzision", ">=", None, "0.5"),
    ],
)
def test_a_gate_says_metric_comparison_and_bound(
    text: str, metric: str, comparison: str, factor: str | None, offset: str
) -> None:
    """
    A number, the champion, a part of it, and a distance from that; white space does not matter.
    """
    gate = read_gate(text)

    assert (metric, comparison, None if factor is None else Decimal(factor), Decimal(offset)) == (
        gate.metric, gate.comparison, gate.factor, gate.offset,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("text", "at", "why"),
    [
        ("", 1, "a metric is missing"),
        ("   ", 4, "a metric is missing"),
        (">= 0.9", 1, "a metric is missing"),
        ("`` >= 0.9", 1, "a metric is missing"),
        ("`a|b` >= 0.9", 1, "a metric is missing"),
        ("accuracy", 9, "a comparison is missing"),
        ("accuracy 0.9", 10, "`0.9` is not a comparison"),
        ("accuracy => 0.9", 10, "`=>` is not a comparison"),
        ("accuracy != 0.9", 10, "`!=` is not a comparison"),
        ("accuracy = 0.9", 10, "`=` is not a comparison"),
        ("accuracy ≥ 0.9", 10, "`≥` is not a comparison"),
        ("f1 score >= 0.9", 4, "needs backticks"),
        ("accuracy >=", 12, "the number is missing"),
        ("0.5 <= accuracy <= 0.9", 8, "a gate has one comparison"),
        ("accuracy >= 0.5 and accuracy <= 1", 13, "a gate has one comparison"),
        ("0.9 <= accuracy", 8, "`accuracy` is not a number"),
        ("champion < accuracy", 1, "the metric on the left"),
        ("accuracy >= champion.accuracy", 13, "has no attributes"),
        ("accuracy >= champions", 13, "`champions` is not a number"),
        ("accuracy >= nan", 13, "`nan` is not a finite number"),
        ("accuracy >= -Infinity", 13, "`-Infinity` is not a finite number"),
        ("accuracy >= 1e999", 13, "`1e999` is not a finite number"),
        ("accuracy <= 1.7976931348623157e308", 13, "is not a finite number"),
        ("accuracy >= 1e999 * champion", 13, "`1e999` is not a finite number"),
        ("drop <= 5%", 9, "`%` is a unit"),
        ("latency <= 300 ms", 12, "`ms` is a unit"),
        ("accuracy >= 2 * champion * 3", 13, "is not a number"),
        ("accuracy >= champion / 2", 13, "is not a number"),
        ("accuracy >= champion + champion", 13, "is not a number"),
        ("accuracy >= 0.9 + champion", 13, "is not a number"),
        ("accuracy >= 1_000", 13, "is not a number"),
    ],
)
def test_what_nobody_can_read_is_refused_with_its_place(text: str, at: int, why: str) -> None:
    """
    The character, the reason and an example; nothing is guessed.
    """
    with pytest.raises(ValueError, match=rf"\Aat character {at}: .*, as in `.+`\Z") as caught:
        read_gate(text)

    assert why in str(caught.value)


@given(st.text(max_size=30) | st.text(alphabet="accuracy champion<>=*+-.0123456789e%`\n", max_size=30))
def test_any_text_is_a_gate_or_a_clear_refusal(text: str) -> None:
    """
    No text makes the reader fall over, and an example that a refusal shows can itself be read.
    """
    try:
        read_gate(text)
    except ValueError as error:
        wording = str(error)
    else:
        wording = "at character 1: as in `accuracy >= 0.9`"

    assert read_gate(wording.rsplit("`", 2)[1])


# what they say


@pytest.mark.parametrize(
    ("text", "candidate", "champion", "wording"),
    [
        (
            "accuracy >= champion - 0.01", 0.9556, 0.9556,
            "accuracy 0.9556 >= 0.9456 (champion 0.9556 - 0.01): holds",
        ),
        (
            "latency <= 1.2 * champion", 13.0, 10.0,
            "latency 13 <= 12 (1.2 * champion 10): does not hold",
        ),
        ("latency <= 0.5 * champion + 5", 9.0, 10.0, "latency 9 <= 10 (0.5 * champion 10 + 5): holds"),
        ("f1 > champion", 0.5, 0.5, "f1 0.5 > 0.5 (champion 0.5): does not hold"),
        ("f1 == champion", 0.5, 0.5, "f1 0.5 == 0.5 (champion 0.5): holds"),
        ("log_loss < 0.3", 0.2951123456, None, "log_loss 0.2951 < 0.3: holds"),
        ("accuracy >= 0.9", 0.89999999, None, "accuracy 0.89999999 >= 0.9: does not hold"),
        ("rows >= 123456", 123455.6, None, "rows 123455.6 >= 123456: does not hold"),
        ("drift < 1e-7", 2.5e-9, None, "drift 2.500e-9 < 1.000e-7: holds"),
        ("accuracy >= champion - 0.1", 0.7, 0.8, "accuracy 0.7 >= 0.7 (champion 0.8 - 0.1): holds"),
        ("accuracy >= champion - 0.01", 0.9, None, "accuracy 0.9 >= champion - 0.01: there is no champion yet"),
    ],
)  # fmt: skip
def test_a_ruling_shows_its_numbers(text: str, candidate: float, champion: float | None, wording: str) -> None:
    """
    Few digits, but as many as it takes to see why; 0.8 - 0.1 is 0.7 here, as on paper.
    """
    gate = read_gate(text)

    ruling = check_gate(gate, {gate.metric: candidate}, None if champion is None else {gate.metric: champion})

    assert (wording, not wording.endswith("does not hold")) == (ruling.text, ruling.holds)


@pytest.mark.parametrize(
    ("text", "candidate", "champion", "verdict", "wording"),
    [
        ("f1 >= champion", {}, {"f1": 1.0}, GateVerdict.MISSING, "f1 >= champion: the candidate lacks the metric `f1`"),
        ("f1 >= champion", {"f1": 1.0}, {}, GateVerdict.MISSING, "f1 >= champion: the champion lacks the metric `f1`"),
        ("f1 >= champion", {}, None, GateVerdict.MISSING, "f1 >= champion: the candidate lacks the metric `f1`"),
        ("f1 >= 0.5", {}, {"f1": 1.0}, GateVerdict.MISSING, "f1 >= 0.5: the candidate lacks the metric `f1`"),
    ],
)
def test_a_missing_metric_does_not_hold_and_says_whose(
    text: str, candidate: dict[str, float], champion: dict[str, float] | None, verdict: GateVerdict, wording: str
) -> None:
    """
    Also without a champion: a metric that nobody measured would else let everything through.
    """
    ruling = check_gate(read_gate(text), candidate, champion)

    assert (verdict, wording, False, "mlflow-uv evaluate") == (ruling.verdict, ruling.text, ruling.holds, ruling.fix)


@pytest.mark.parametrize(
    ("value", "wording"),
    [
        (math.nan, "nan"),
        (math.inf, "inf"),
        (-math.inf, "-inf"),
        # As a database keeps infinity.
        (sys.float_info.max, "inf"),
        (-sys.float_info.max, "-inf"),
    ],
)
@pytest.mark.parametrize("comparison", [">=", ">", "<=", "<", "=="])
@pytest.mark.parametrize("whose", ["candidate", "champion", "both"])
def test_what_is_no_number_never_holds(value: float, wording: str, comparison: str, whose: str) -> None:
    """
    Neither as the candidate's value nor as the champion's.
    """
    mine, theirs = (1.0 if whose == other else value for other in ("champion", "candidate"))

    ruling = check_gate(read_gate(f"f1 {comparison} champion"), {"f1": mine}, {"f1": theirs})

    assert (GateVerdict.FAILS, True) == (ruling.verdict, f"is {wording}, which no gate accepts" in ruling.text)


def test_an_absolute_gate_does_not_look_at_the_champion() -> None:
    """
    It is judged without one, and whatever one is.
    """
    gate = read_gate("f1 >= 0.5")

    verdicts = [
        check_gate(gate, {"f1": 0.4}, champion).verdict for champion in (None, {}, {"f1": math.nan}, {"f1": 0.1})
    ]

    assert [GateVerdict.FAILS] * 4 == verdicts


@given(NUMBERS, NUMBERS)
def test_what_is_shown_compares_as_what_is_compared(candidate: float, champion: float) -> None:
    """
    A person who compares the two numbers on the line comes to the same verdict.
    """
    ruling = check_gate(read_gate("m >= champion"), {"m": candidate}, {"m": champion})

    _, mine, _, limit, *_ = ruling.text.replace(":", " ").split()
    assert (Decimal(mine) >= Decimal(limit)) == ruling.holds == (candidate >= champion)
