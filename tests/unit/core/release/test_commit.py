"""The commit of a release as messages describe it."""

import pytest

from mlflow_uv.core.release.commit import CHANGED, UNKNOWN, Commit


@pytest.mark.parametrize(
    ("sha", "dirty", "changed", "description"),
    [
        ("abc", None, False, "commit abc"),
        ("abc", "0" * 64, True, "commit abc with uncommitted changes"),
        ("abc", CHANGED, True, "commit abc with uncommitted changes"),
        ("abc", UNKNOWN, False, "commit abc"),
        (UNKNOWN, UNKNOWN, False, "an unknown commit"),
        (UNKNOWN, CHANGED, True, "an unknown commit"),
    ],
)
def test_only_a_known_difference_is_a_change(sha: str, dirty: str | None, changed: bool, description: str) -> None:
    """
    Of an adopted model nobody may know the commit, or whether the tree was clean.
    """
    commit = Commit(sha=sha, project=".", dirty=dirty)

    assert (changed, description) == (commit.changed, commit.description)
