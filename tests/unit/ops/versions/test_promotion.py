"""Only a tree that is known to have been clean is a clean one."""

import pytest

from mlflow_uv.core.release.commit import CHANGED, UNKNOWN, Commit
from mlflow_uv.ops.versions.promotion import clean, passed
from mlflow_uv.payloads.messages.tags import STATE

SHA = "0123456789abcdef0123456789abcdef01234567"


def made_from(dirty: str | None) -> Commit:
    return Commit(sha=SHA, project=".", dirty=dirty)


@pytest.mark.parametrize(
    ("commit", "holds", "text"),
    [
        (made_from(None), (True, True), "commit 0123456789ab, a clean tree"),
        (made_from("8d" * 32), (False, True), "commit 0123456789ab with uncommitted changes"),
        (made_from(CHANGED), (False, True), "commit 0123456789ab with uncommitted changes"),
        (made_from(UNKNOWN), (False, True), "commit 0123456789ab, and it is unknown whether the tree was clean"),
        (None, (False, False), "no record names the commit that it was made from"),
    ],
    ids=["clean", "digested", "changed", "unknown", "no record"],
)
def test_what_is_not_known_to_be_clean_is_not_promoted_unless_allowed(
    commit: Commit | None, holds: tuple[bool, bool], text: str
) -> None:
    """
    Of a version without any record, not even that.
    """
    judged = [clean(commit, allowed=allowed) for allowed in (False, True)]

    assert holds == tuple(one.holds for one in judged)
    assert {text} == {one.text for one in judged}


@pytest.mark.parametrize(
    ("state", "holds"),
    [("tested", True), ("promoted", True), ("replaced", True), ("registered", False), ("failed", False), (None, False)],
)
def test_a_version_that_was_not_tested_is_released_again(state: str | None, *, holds: bool) -> None:
    """
    `smoke-test` continues the record of a checkout, which may be that of another version; a release finds this one.
    """
    condition = passed("7", {} if state is None else {STATE: state})

    assert (holds, "" if holds else "mlflow-uv release") == (condition.holds, str(condition.fix))
