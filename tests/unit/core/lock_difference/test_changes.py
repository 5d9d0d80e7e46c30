"""Differences between two locks, package by package."""

import pytest

from mlflow_uv.core.lock.lockfile import Lockfile
from mlflow_uv.core.lock_difference.changes import ChangeKind, package_changes
from mlflow_uv.core.lock_difference.served import unknown_usage
from tests.unit.core.lock_difference.locks import lock, package

MIRROR = 'registry = "https://user:secret@mirror.test/simple"'
OLD = package("grape")


def changes(before: Lockfile | None, after: Lockfile | None) -> list[tuple[str, ChangeKind, str, str]]:
    """The differences in short."""
    found = package_changes(before, after, used_before=unknown_usage, used_after=unknown_usage)
    return [(change.name, change.kind, change.before, change.after) for change in found]


@pytest.mark.parametrize(
    ("new", "kind", "after"),
    [
        (package("grape", "2.0"), ChangeKind.UPDATED, "2.0"),
        (package("grape", source=MIRROR), ChangeKind.INDEX, "1.0"),
        (package("grape", source='git = "https://g.test/grape#0123456789abcdef"'), ChangeKind.SOURCE, "1.0"),
        (package("grape", digest="bb"), ChangeKind.FILES, "1.0"),
        ("", ChangeKind.REMOVED, ""),
    ],
)
def test_every_kind_of_difference_is_told_apart(new: str, kind: ChangeKind, after: str) -> None:
    """
    Another version, index, source or hash, and a package that is gone; the reverse of the last is one that is new.
    """
    found = changes(lock(OLD), lock(new))

    assert [("grape", kind, "1.0", after)] == found
    assert [("grape", ChangeKind.ADDED, "", "1.0")] == changes(lock(), lock(OLD))


def test_what_is_equal_is_no_difference() -> None:
    """
    A wheel for one more platform and the order of packages change nothing, and neither does the project's own version.
    """
    more = OLD.replace("wheels = [", 'wheels = [{ url = "https://files.test/grape-1.0-cp311-cp311-win_amd64.whl" }, ')
    released = lock(package("yeast"), more)
    bumped = lock(OLD, package("yeast"))

    assert [] == changes(bumped, released)
    assert [] == changes(lock(OLD), lock(OLD.replace(' = "."', ' = "."')))


def test_a_name_that_is_locked_twice_is_compared_by_version() -> None:
    """
    Of two versions one stays, and only the other is an update.
    """
    before = lock(package("grape", "1.0"), package("grape", "2.0"))
    after = lock(package("grape", "1.0"), package("grape", "3.0"))

    assert [("grape", ChangeKind.UPDATED, "2.0", "3.0")] == changes(before, after)


def test_an_update_from_another_index_says_so_without_its_password() -> None:
    """
    Both addresses are there, and no credentials.
    """
    (change,) = package_changes(
        lock(OLD),
        lock(package("grape", "2.0", source=MIRROR)),
        used_before=unknown_usage,
        used_after=unknown_usage,
    )

    assert ("https://index.test/simple", "https://mirror.test/simple") == (change.source_before, change.source_after)


def test_a_lock_that_is_new_adds_everything() -> None:
    """
    Its project is a package of it, too.
    """
    found = changes(None, lock(OLD))

    assert [("grape", ChangeKind.ADDED), ("wine", ChangeKind.ADDED)] == [(name, kind) for name, kind, *_ in found]
