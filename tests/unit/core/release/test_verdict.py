"""The result of a release in the words of a reader who knows neither steps nor links."""

from dataclasses import replace

import pytest

from mlflow_uv.command.report import Mark
from mlflow_uv.core.release.record import Record
from mlflow_uv.core.release.verdict import audited, mark_of_audited, released, stopped
from tests.unit.core.release.test_record import BARE, WHOLE

assert WHOLE.image is not None
assert WHOLE.answers is not None
assert WHOLE.version is not None
TESTED = replace(
    WHOLE,
    image=replace(WHOLE.image, kind="image"),
    answers=replace(WHOLE.answers, observed="8"),
    version=replace(WHOLE.version, name="wine", version="4"),
)
NAMED = "wine version 4 (champion)"
UNTESTED = replace(TESTED, answers=replace(WHOLE.answers, observed=None), alias=None)


@pytest.mark.parametrize(
    ("record", "verdict"),
    [
        (TESTED, "wine version 4 is ready as candidate: served from its image, it gives the predictions of training"),
        (
            replace(TESTED, alias=None, image=replace(WHOLE.image, kind="process")),
            "wine version 4 is tested: served without an image, it gives the predictions of training",
        ),
        (UNTESTED, "wine version 4 is registered, and not tested"),
        (replace(BARE, answers=None), "The model is trained and logged, and not tested"),
    ],
    ids=["tested", "process", "registered", "logged"],
)
def test_a_release_says_what_is_ready(record: Record, verdict: str) -> None:
    """
    Ready is what answered as training did; nothing else is called so.
    """
    assert verdict == released(record)


@pytest.mark.parametrize(
    ("record", "verdict"),
    [
        (None, "wine is not released: no space left. No alias was moved"),
        (UNTESTED, "wine version 4 is not released: no space left. No alias was moved"),
        (TESTED, "wine version 4 is not released: no space left"),
    ],
    ids=["nothing", "untested", "after the alias"],
)
def test_a_release_that_stopped_says_whether_it_moved_an_alias(record: Record | None, verdict: str) -> None:
    """
    What is in use is as before, unless a step after the smoke test stopped it.
    """
    assert verdict == stopped(record, "wine", "no space left")


@pytest.mark.parametrize(
    ("given", "verdict"),
    [
        (("promoted", (), ()), f"{NAMED} is what was released: every link of its chain holds"),
        (("tested", (), ("image",)), f"{NAMED} is what was released, as far as it can be verified here: not image"),
        (("tested", ("lock", "model"), ("image",)), f"{NAMED} is not what was released: lock, model are broken"),
        (("failed", (), ()), f"{NAMED} failed its test"),
        (("registered", (), ()), f"{NAMED} was not tested yet: every link that it has holds"),
        (("registered", (), ("commit",)), f"{NAMED} was not tested yet: verified except for commit"),
        (("registered", ("lock",), ()), f"{NAMED} is not what was released: lock is broken"),
    ],
    ids=["holds", "unverified", "broken", "failed", "untested", "untested and unverified", "untested and broken"],
)  # fmt: skip
def test_an_audited_version_is_what_was_released_only_if_nothing_is_broken(
    given: tuple[str, tuple[str, ...], tuple[str, ...]], verdict: str
) -> None:
    """
    What was not verified is named, and a failed version is called that.
    """
    state, broken, unverified = given

    assert verdict == audited("wine version 4", ("champion",), state, broken, unverified)


@pytest.mark.parametrize(
    ("state", "broken", "unverified", "mark"),
    [
        ("promoted", (), (), Mark.HOLDS),
        ("tested", (), ("image",), Mark.UNVERIFIED),
        ("registered", (), (), Mark.UNVERIFIED),
        ("failed", (), ("image",), Mark.BROKEN),
        ("tested", ("lock",), ("image",), Mark.BROKEN),
    ],
)
def test_only_what_was_tested_and_verified_is_marked_as_good(
    state: str, broken: tuple[str, ...], unverified: tuple[str, ...], mark: Mark
) -> None:
    """
    A report of a version that failed its test, or of one that nobody tested, does not begin with a tick.
    """
    found = mark_of_audited(state, broken, unverified)

    assert mark is found
