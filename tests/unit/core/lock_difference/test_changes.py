"""Differences between two locks, package by package."""

import pytest

from mlflow_uv.core.lock.lockfile import Lockfile
from mlflow_uv.core.lock_difference.changes import ChangeKind, PackageChange, PackageUse, package_changes
from mlflow_uv.core.lock_difference.served import unknown_usage
from tests.unit.core.lock_difference.locks import lock, package

MIRROR = 'registry = "https://user:secret@mirror.test/simple"'
OLD = package("grape")
FILE = "grape-1.0-py3-none-any.whl"
WHEEL = "https://files.test/grape-1.0-py3-none-any.whl"
MORE = "https://files.test/grape-1.0-cp311-cp311-win_amd64.whl"


def compared(before: Lockfile | None, after: Lockfile | None) -> tuple[PackageChange, ...]:
    """The differences."""
    return package_changes(before, after, used_before=unknown_usage, used_after=unknown_usage)


def with_wheel(url: str, digest: str = ', hash = "sha256:cc"') -> str:
    """The old package with one more wheel."""
    return OLD.replace("}]", f'}}, {{ url = "{url}"{digest} }}]')


def changes(before: Lockfile | None, after: Lockfile | None) -> list[tuple[str, ChangeKind, str, str]]:
    """The differences in short."""
    return [(change.name, change.kind, change.before, change.after) for change in compared(before, after)]


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
    Neither the order of packages nor the password of an index changes anything.
    """
    mirrored = package("yeast", source=MIRROR)

    assert [] == changes(lock(OLD, mirrored), lock(mirrored.replace("secret", "other"), OLD))


@pytest.mark.parametrize(
    ("new", "kind", "files"),
    [
        (OLD.replace(', hash = "sha256:aa"', ""), ChangeKind.FILES, f"{FILE} has no hash any more"),
        (OLD.replace("sha256:aa", "sha256:bb"), ChangeKind.FILES, f"{FILE} has another hash"),
        (
            OLD.replace("files.test", "evil.test"),
            ChangeKind.FILES,
            f"{FILE} has another host, evil.test instead of files.test",
        ),
        (OLD.replace("test/grape", "test/x/grape"), ChangeKind.FILES, f"{FILE} has another address"),
        (
            OLD.replace("files.test/grape-1.0", "evil.test/grape-1.0-1").replace("sha256:aa", "sha256:bb"),
            ChangeKind.FILES,
            "grape-1.0-1-py3-none-any.whl is new, from evil.test",
        ),
        (
            with_wheel(r"https://evil.test\\@files.test/grape-1.0-1-py3-none-any.whl"),
            ChangeKind.FILES,
            "grape-1.0-1-py3-none-any.whl is new, from evil.test",
        ),
        (with_wheel(MORE, ""), ChangeKind.FILES, "grape-1.0-cp311-cp311-win_amd64.whl is new, without a hash"),
        (with_wheel(WHEEL), ChangeKind.FILES, f"{FILE} has another hash"),
        (with_wheel(MORE), ChangeKind.FILE_LIST, ""),
    ],
)
def test_every_file_is_compared(new: str, kind: ChangeKind, files: str) -> None:
    """
    An attacker locks a file of the same version with another address or hash, without a hash, or from a new host.

    A wheel for one more platform, from where the others come, is a difference and no warning.
    """
    (change,) = compared(lock(OLD), lock(new))

    assert (kind, files, "1.0") == (change.kind, change.files, change.after)


@pytest.mark.parametrize(
    ("before", "after", "kind", "texts"),
    [
        (
            'git = "https://g.test/x?subdirectory=good#0123456789abcdef"',
            'git = "https://g.test/x?subdirectory=evil#0123456789abcdef"',
            ChangeKind.SOURCE,
            (
                "git https://g.test/x subdirectory=good 0123456789ab",
                "git https://g.test/x subdirectory=evil 0123456789ab",
            ),
        ),
        (
            'registry = "https://i.test/simple?channel=prod"',
            'registry = "https://i.test/simple?channel=secret"',
            ChangeKind.INDEX,
            ("https://i.test/simple", "https://i.test/simple (with another query or fragment)"),
        ),
        (
            'git = "https://g.test/x#0123456789abcdef"',
            'git = "https://g.test/x#0123456789ab0000"',
            ChangeKind.SOURCE,
            ("git https://g.test/x 0123456789ab", "git https://g.test/x 0123456789ab (with another query or fragment)"),
        ),
    ],
)
def test_every_part_of_a_source_is_compared(before: str, after: str, kind: ChangeKind, texts: tuple[str, str]) -> None:
    """
    The folder of a repository, the query of an index and the end of a commit count; a query may hold a token.
    """
    (change,) = compared(lock(package("grape", source=before)), lock(package("grape", source=after)))

    assert (kind, *texts) == (change.kind, change.source_before, change.source_after)


@pytest.mark.parametrize(
    ("new", "source", "files"),
    [
        (package("corp"), "", ""),
        (package("corp", source=MIRROR), "https://mirror.test/simple", ""),
        (package("corp", source='url = "https://evil.test/corp.whl"'), "url https://evil.test/corp.whl", ""),
        (package("corp", source='directory = "../../etc"'), "directory ../../etc", ""),
        (package("corp", source='editable = "packages/corp"'), "", ""),
        (package("corp").replace("files.test", "evil.test"), "", "from evil.test"),
    ],
)
def test_a_new_package_from_elsewhere_says_from_where(new: str, source: str, files: str) -> None:
    """
    Nobody has to look at those that come from the usual index.
    """
    (change,) = compared(lock(OLD), lock(OLD, new))

    assert (ChangeKind.ADDED, source, files) == (change.kind, change.source_after, change.files)


def test_an_update_whose_files_come_from_a_new_host_says_so() -> None:
    """
    Its index is the same.
    """
    (change,) = compared(lock(OLD), lock(package("grape", "2.0").replace("files.test", "evil.test")))

    assert (ChangeKind.UPDATED, "from evil.test", "") == (change.kind, change.files, change.source_after)


def test_a_package_that_is_served_from_now_on_is_a_difference() -> None:
    """
    Its version is the same; only its use is another. A package of which that is unknown is none.
    """
    before, after = lock(OLD, package("yeast")), lock(OLD, package("yeast"))

    def dev(_: object) -> PackageUse:
        return PackageUse.DEVELOPMENT

    def serving(_: object) -> PackageUse:
        return PackageUse.SERVED

    found = package_changes(before, after, used_before=dev, used_after=serving)
    gone = package_changes(before, after, used_before=serving, used_after=dev)
    unknown = package_changes(before, after, used_before=dev, used_after=unknown_usage)

    assert [("grape", ChangeKind.USE, "", "1.0", PackageUse.SERVED)] == [
        (change.name, change.kind, change.before, change.after, change.use)
        for change in found
        if change.name == "grape"
    ]
    assert {("1.0", "", PackageUse.SERVED)} == {
        (change.before, change.after, change.use) for change in gone if change.name == "grape"
    }
    assert () == unknown


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
