"""What a number may be, and the words that say so."""

import math

import pytest

from mlflow_uv.command.limits import ANY_NUMBER, Limits


@pytest.mark.parametrize(
    ("limits", "text", "allowed", "refused"),
    [
        (ANY_NUMBER, "of at least 0", [0, 1e9], [-1, math.nan]),
        (Limits(least=1), "of at least 1", [1, 2], [0, 0.5, math.inf]),
        (Limits(below=1.0), "of at least 0 and below 1", [0, 0.99], [1]),
    ],
)
def test_a_number_is_within_its_limits(limits: Limits, text: str, allowed: list[float], refused: list[float]) -> None:
    """
    The lower limit is allowed, the upper one is not.
    """
    assert (text, [True] * len(allowed), [False] * len(refused)) == (
        limits.text, list(map(limits.allow, allowed)), list(map(limits.allow, refused)),
    )  # fmt: skip
