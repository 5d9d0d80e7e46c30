"""Selecting the versions that are no longer needed."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlflow_uv.core.promotion.pruning import PruningRule, pruning_verdicts
from mlflow_uv.payloads.messages.registry import RegisteredVersion
from mlflow_uv.payloads.messages.tags import RELEASE_KEY, STATE
from tests.messages import VERSION

NOW_S = 1_790_000_000.0
RULE = PruningRule(keep=2, days=30, now_s=NOW_S)


def version(number: int, state: str | None, *aliases: str, days: float = 100, ours: bool = True) -> RegisteredVersion:
    """As the registry describes it."""
    tags = {STATE: state} if state else {}
    if ours:
        tags[RELEASE_KEY] = "k"
    created = int((NOW_S - days * 86_400) * 1000)
    return replace(VERSION, version=str(number), tags=tags, aliases=aliases, created=created)


def goes(*versions: RegisteredVersion, rule: PruningRule = RULE) -> list[str]:
    return [one.version for one in pruning_verdicts(versions, rule) if one.goes]


def test_the_newest_candidates_stay_however_old_they_are() -> None:
    """
    The count is of candidates: failed versions do not push them out.
    """
    versions = [version(1, "tested"), version(2, "registered"), version(3, "tested"), version(4, "failed")]

    gone = goes(*versions)

    assert ["1", "4"] == gone


@pytest.mark.parametrize(
    ("one", "why"),
    [
        (version(1, "promoted"), "it is promoted"),
        (version(1, "replaced"), "it is replaced"),
        (version(1, "tested", "candidate"), "alias candidate points to it"),
        (version(1, "failed", "a", "b"), "alias a, b points to it"),
        (version(1, "failed", days=29.4), "it is 29 days old"),
        (version(1, "failed", ours=False), "it was not registered by mlflow-uv"),
        (version(1, None), "it was not registered by mlflow-uv"),
        (version(1, "archived"), "it is archived"),
        (version(1, "tested"), "it is one of the newest 0 candidates, or the last tested one"),
    ],
)
def test_what_stays_says_why(one: RegisteredVersion, why: str) -> None:
    """
    Even where no candidate is kept for its age: one that was used, is named, is young, is not ours, or was tested last.
    """
    rule = PruningRule(keep=0, days=30, now_s=NOW_S)

    (verdict,) = pruning_verdicts([one], rule)

    assert (False, why) == (verdict.goes, verdict.why)


def test_the_last_that_was_tested_stays_when_newer_ones_were_not() -> None:
    """
    Somebody may want to promote it, whatever was registered after it.
    """
    versions = [version(1, "tested"), version(2, "tested"), *(version(n, "registered") for n in (3, 4, 5))]

    gone = goes(*versions)

    assert ["1", "3"] == gone


STATES = st.sampled_from(("registered", "tested", "promoted", "replaced", "failed", None))
VERSIONS = st.lists(st.tuples(STATES, st.booleans(), st.booleans(), st.floats(0, 400)), max_size=12)


@given(VERSIONS, st.integers(0, 5), st.floats(0, 400))
def test_whatever_the_rule_nothing_goes_that_somebody_may_need(
    drawn: list[tuple[str | None, bool, bool, float]], keep: int, days: float
) -> None:
    """
    Nothing with an alias, nothing that was ever promoted, nothing of others, nothing younger than was said.
    """
    versions = [
        version(number, state, *(("named",) if named else ()), days=age, ours=ours)
        for number, (state, named, ours, age) in enumerate(drawn, start=1)
    ]

    gone = set(goes(*versions, rule=PruningRule(keep=keep, days=days, now_s=NOW_S)))

    needed = {
        str(number)
        for number, (state, named, ours, age) in enumerate(drawn, start=1)
        if named or not ours or age < days - 1e-6 or state in ("promoted", "replaced", None)
    }
    assert set() == gone & needed
