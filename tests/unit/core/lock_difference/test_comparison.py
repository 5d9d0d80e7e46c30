"""The comparison of a repository in one line."""

import pytest

from mlflow_uv.core.lock_difference.changes import ChangeKind, PackageChange, PackageUse
from mlflow_uv.core.lock_difference.comparison import LockChange, LockComparison, RepositoryComparison

UPDATED = PackageChange(name="grape", kind=ChangeKind.UPDATED, use=PackageUse.SERVED)
ADDED = PackageChange(name="pytest", kind=ChangeKind.ADDED, use=PackageUse.DEVELOPMENT)


@pytest.mark.parametrize(
    ("packages", "verdict"),
    [
        ((), "1 lock changed, and no package"),
        ((ADDED,), "1 package changed (1 added), none of them served"),
        ((ADDED, UPDATED), "2 packages changed (1 added, 1 updated), 1 of them served"),
    ],
)
def test_the_verdict_says_whether_the_served_model_changes(packages: tuple[PackageChange, ...], verdict: str) -> None:
    """
    What is of development alone is not what a reviewer has to test.
    """
    lock = LockComparison(path="uv.lock", change=LockChange.CHANGED, packages=packages)

    assert verdict == RepositoryComparison(base="", head="", locks=(lock,)).verdict
    assert "no lock changes" == RepositoryComparison(base="", head="").verdict


@pytest.mark.parametrize(
    ("settings", "verdict"),
    [
        (("exclude-newer: none → 2026-01-01",), "1 lock changed, in exclude-newer"),
        (("a: 1 → 2", "b: 1 → 2", "c: 1 → 2", "d: 1 → 2"), "1 lock changed, in a, b, c and 1 more"),
    ],
)
def test_a_change_of_settings_alone_is_named(settings: tuple[str, ...], verdict: str) -> None:
    """
    A lock that another resolution will follow from is not one that only changed its format.
    """
    lock = LockComparison(path="uv.lock", change=LockChange.CHANGED, settings=settings)

    assert verdict == RepositoryComparison(base="", head="", locks=(lock,)).verdict


UNKNOWN = PackageChange(name="oak", kind=ChangeKind.REMOVED)


@pytest.mark.parametrize(
    ("locks", "verdict"),
    [
        ((LockComparison(path="a", change=LockChange.UNREADABLE),), "1 lock cannot be compared"),
        (
            (
                LockComparison(path="a", change=LockChange.UNREADABLE),
                LockComparison(path="b", change=LockChange.CHANGED),
            ),
            "1 lock cannot be compared; 1 lock changed, and no package",
        ),
        (
            (LockComparison(path="b", change=LockChange.CHANGED, packages=(UNKNOWN, UPDATED)),),
            "2 packages changed (1 removed, 1 updated), 1 of them served, 1 perhaps",
        ),
    ],
)
def test_what_is_unknown_is_said(locks: tuple[LockComparison, ...], verdict: str) -> None:
    """
    A lock that cannot be read is not one without changes, and a package of unknown use not a served one.
    """
    assert verdict == RepositoryComparison(base="", head="", locks=locks).verdict
