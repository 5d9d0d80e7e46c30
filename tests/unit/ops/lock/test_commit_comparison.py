"""Locks of two commits, read with real git."""

import os
from pathlib import Path

import pytest

from mlflow_uv.core.lock_difference.changes import PackageUse
from mlflow_uv.core.lock_difference.comparison import LockChange, LockComparison
from mlflow_uv.ops.lock.commit_comparison import CommitComparison, CommitPair
from mlflow_uv.tools.git.git import Git
from mlflow_uv.tools.system.process import SystemRunner
from tests import checkout
from tests.unit.core.lock_difference.locks import lock_text, package

MANIFEST = '[project]\nname = "wine"\nversion = "0.1.0"\n'
SERVES_DEV = '[tool.mlflow-uv]\ngroups = "dev"\ntargets = ["linux-aarch64-py3.12"]\n'
ONE = lock_text(package("grape"), needs=("grape",))
TWO = lock_text(package("grape", "2.0"), package("pytest"), needs=("grape",), develops=("pytest",))


@pytest.fixture
def compare(tmp_path: Path):
    """Compare two trees of files, each committed."""

    def compared(before: dict[str, str], after: dict[str, str], *, below: str = ".") -> list[LockComparison]:
        folder = tmp_path / "mein repo ü"
        folder.mkdir()
        commits: list[str] = []
        for files in (before, after):
            for path in folder.rglob("uv.lock*"):
                path.unlink()
            for name, text in files.items():
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                (folder / name).write_text(text)
            commits.append(checkout.commit(folder) if commits else checkout.repository(folder))
        base, head = commits
        pair = CommitPair(top=folder, folder=folder / below, base=base, head=head)
        comparison = CommitComparison(
            Git(SystemRunner(), variables=dict(os.environ)), pair, machine="x86_64", targets=()
        )
        return [comparison.compare(path, None) for path in comparison.locks(("old",)) or ()]

    return compared


def test_only_locks_that_differ_are_compared(compare) -> None:
    """
    A new lock, one that is gone and one that changed; not one that is equal or in an excluded folder.
    """
    before = {"a/uv.lock": ONE, "same/uv.lock": ONE, "gone ü/uv.lock": ONE, "old/uv.lock": ONE}

    found = compare(before, {"a/uv.lock": TWO, "same/uv.lock": ONE, "new/uv.lock": ONE, "old/uv.lock": TWO})

    assert [
        ("a/uv.lock", LockChange.CHANGED),
        ("gone ü/uv.lock", LockChange.REMOVED),
        ("new/uv.lock", LockChange.ADDED),
    ] == [(lock.path, lock.change) for lock in found]


def test_a_folder_limits_the_locks(compare) -> None:
    """
    A project in a monorepo sees its own.
    """
    found = compare({"a/uv.lock": ONE, "b/uv.lock": ONE}, {"a/uv.lock": TWO, "b/uv.lock": TWO}, below="b")

    assert ["b/uv.lock"] == [lock.path for lock in found]


@pytest.mark.parametrize(
    ("settings", "use", "target"),
    [
        ("", PackageUse.DEVELOPMENT, "linux-x86_64-py3.10"),
        (SERVES_DEV, PackageUse.SERVED, "linux-aarch64-py3.12"),
    ],
)
def test_the_settings_of_the_project_say_what_is_served(compare, settings: str, use: PackageUse, target: str) -> None:
    """
    The groups of `[tool.mlflow-uv]` count, and its targets; without settings, the dependencies alone.
    """
    manifest = {"pyproject.toml": MANIFEST + settings}

    (found,) = compare({**manifest, "uv.lock": ONE}, {**manifest, "uv.lock": TWO})

    uses = {change.name: change.use for change in found.packages}
    assert ({"grape": PackageUse.SERVED, "pytest": use}, "") == (uses, found.note)
    assert [target] == [compared.target for compared in found.targets]


def test_a_selection_that_is_not_in_the_lock_is_said(compare) -> None:
    """
    Whether packages are served is unknown then, and no size is invented.
    """
    settings = {"pyproject.toml": f'{MANIFEST}[tool.mlflow-uv]\nextras = ["gpu"]\n'}

    (found,) = compare({**settings, "uv.lock": ONE}, {**settings, "uv.lock": TWO})

    assert {PackageUse.UNKNOWN} == {change.use for change in found.packages}
    assert ("what is served is unknown: the selection is not in the lock", ()) == (
        found.note.partition(": extra")[0],
        found.targets,
    )


def test_a_member_of_a_workspace_has_the_lock_of_its_root(compare) -> None:
    """
    It is compared for the folder of a member and for one around it, but for no other folder of the repository.
    """
    member = 'name = "yeast"\nversion = "1"\nsource = { editable = "packages/yeast" }\n'
    one, two = (f"{text}\n[[package]]\n{member}" for text in (ONE, TWO))
    before = {"ws/uv.lock": one, "ws/packages/yeast/x": "", "ws/docs/x": "", "uv.lock": ONE}

    found = compare(before, {**before, "ws/uv.lock": two, "uv.lock": TWO}, below="ws/packages/yeast")

    assert [("ws/uv.lock", "grape")] == [(lock.path, lock.packages[0].name) for lock in found]


@pytest.mark.parametrize(("below", "paths"), [("ws/packages", ["ws/uv.lock"]), ("ws/docs", [])])
def test_a_folder_beside_the_members_has_no_lock(compare, below: str, paths: list[str]) -> None:
    """
    What is not a member, and holds none, is not locked there.
    """
    member = '\n[[package]]\nname = "yeast"\nversion = "1"\nsource = { editable = "packages/yeast" }\n'
    before = {"ws/uv.lock": ONE + member, "ws/packages/yeast/x": "", "ws/docs/x": ""}

    found = compare(before, {**before, "ws/uv.lock": TWO + member}, below=below)

    assert paths == [lock.path for lock in found]


@pytest.mark.parametrize("after", ["<<<<<<< ours\n", "version = 9\n", "\0"])
def test_a_lock_that_cannot_be_read_is_said(compare, after: str) -> None:
    """
    One broken lock does not hide the others.
    """
    found = compare({"a/uv.lock": ONE, "b/uv.lock": ONE}, {"a/uv.lock": after, "b/uv.lock": TWO})

    assert [LockChange.UNREADABLE, LockChange.CHANGED] == [lock.change for lock in found]
    assert found[0].note.startswith("the lock of the head cannot be compared: ")


def test_a_link_in_place_of_a_lock_shows_nothing(compare, tmp_path: Path) -> None:
    """
    Both sides come from git, which has the target's name and not its content.
    """
    folder = tmp_path / "mein repo ü"
    secret = tmp_path / "secret.lock"
    secret.write_text(TWO)

    (found,) = compare({"uv.lock": ONE}, {"pyproject.toml": MANIFEST})
    assert LockChange.REMOVED is found.change

    (folder / "uv.lock").symlink_to(secret)
    head = checkout.commit(folder)
    pair = CommitPair(top=folder, folder=folder, base=f"{head}", head=head)
    git = Git(SystemRunner(), variables=dict(os.environ))
    base = git.parents(folder, head)[0]
    comparison = CommitComparison(
        git, CommitPair(top=folder, folder=folder, base=base, head=pair.head), machine="x86_64", targets=()
    )

    compared = comparison.compare("uv.lock", None)
    assert (LockChange.UNREADABLE, "the lock of the head cannot be compared: it is a link") == (
        compared.change,
        compared.note,
    )


def test_the_lock_of_a_script_is_compared_without_a_selection(compare) -> None:
    """
    A script is not served.
    """
    (found,) = compare({"tool.py.lock": ONE}, {"tool.py.lock": TWO})

    assert ({PackageUse.UNKNOWN}, ()) == ({change.use for change in found.packages}, found.targets)


def test_what_other_programs_lock_is_no_lock(compare) -> None:
    """
    A file with the name of a script's lock counts if one side is one.
    """
    before = {"a.py.lock": "", "b.py.lock": ONE, "uv.lock.py.lock": "pid 3"}

    found = compare(before, {"a.py.lock": "pid 3", "b.py.lock": "pid 3", "uv.lock.py.lock": "pid 4"})

    assert [("b.py.lock", LockChange.UNREADABLE)] == [(lock.path, lock.change) for lock in found]
