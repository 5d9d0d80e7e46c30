"""Why a tracked file is not on disk, and which version of a broken file is the newest that is whole."""

import os
from pathlib import Path

import pytest

from mlflow_uv.core.lock.missing_files import AbsenceReason, AbsentPath
from mlflow_uv.tools.git.missing_files import GitFiles
from mlflow_uv.tools.system.process import SystemRunner
from tests import checkout


@pytest.fixture
def top(tmp_path: Path) -> Path:
    """A repository with two folders."""
    folder = tmp_path / "größe"
    for name in ("lib/pyproject.toml", "model/train.py"):
        (folder / name).parent.mkdir(parents=True)
        (folder / name).write_text("x\n")
    checkout.repository(folder)
    return folder


def files() -> GitFiles:
    """Git of this caller."""
    return GitFiles(SystemRunner(), variables=dict(os.environ))


def test_a_sparse_checkout_leaves_a_folder_out(top: Path) -> None:
    """
    And a file in it.
    """
    checkout.git(top, "sparse-checkout", "set", "model")

    found = [files().absence(top / name) for name in ("lib", "lib/pyproject.toml", "model/train.py", "nowhere")]

    sparse = [AbsentPath(reason=AbsenceReason.SPARSE, path=path, top=top) for path in ("lib", "lib/pyproject.toml")]
    assert [*sparse, None, None] == found


def test_a_file_may_be_skipped_by_its_flag_alone(top: Path) -> None:
    """
    Without a sparse checkout it is `--skip-worktree` that did it.
    """
    checkout.git(top, "update-index", "--skip-worktree", "lib/pyproject.toml")
    (top / "lib/pyproject.toml").unlink()

    assert AbsentPath(reason=AbsenceReason.SKIPPED, path="lib/pyproject.toml", top=top) == files().absence(
        top / "lib/pyproject.toml"
    )


def test_a_submodule_that_is_not_initialised_is_named(top: Path) -> None:
    """
    By its own path, whichever file in it is missing.
    """
    blob = checkout.git(top, "rev-parse", "HEAD")
    checkout.git(top, "update-index", "--add", "--cacheinfo", f"160000,{blob},deps/grape")

    found = files().absence(top / "deps" / "grape" / "pyproject.toml")

    assert AbsentPath(reason=AbsenceReason.SUBMODULE, path="deps/grape", top=top) == found


def test_a_file_that_is_only_deleted_or_in_no_repository_has_no_reason(top: Path, tmp_path: Path) -> None:
    """
    Whoever deleted it knows.
    """
    (top / "model/train.py").unlink()

    assert [None, None] == [files().absence(path) for path in (top / "model/train.py", tmp_path / "x" / "y")]


def whole(content: bytes) -> bool:
    """Whether a version of the file is accepted."""
    return content.startswith(b"good")


@pytest.mark.parametrize(
    ("versions", "expected"), [(["good 1", "bad"], 0), (["bad", "good 2", "bad"], 1), (["bad", "worse"], None)]
)
def test_the_newest_commit_with_a_whole_version_is_found(top: Path, versions: list[str], expected: int | None) -> None:
    """
    The index and HEAD come first, then earlier commits; None where there never was one.
    """
    commits = []
    for text in versions:
        (top / "uv.lock").write_text(text)
        commits.append(checkout.commit(top))

    argv = files().restore_argv(top / "uv.lock", whole)

    assert argv == (None if expected is None else (commits[expected][:12],))


def test_the_index_and_head_come_before_older_commits(top: Path) -> None:
    """
    What was staged is restored from there.
    """
    (top / "uv.lock").write_text("good 1")
    checkout.commit(top)
    (top / "uv.lock").write_text("bad")
    in_index = files().restore_argv(top / "uv.lock", whole)
    checkout.git(top, "add", "uv.lock")
    at_head = files().restore_argv(top / "uv.lock", whole)

    assert ((), ("HEAD",)) == (in_index, at_head)


def test_in_a_merge_our_own_side_comes_first(top: Path) -> None:
    """
    Then theirs.
    """
    (top / "uv.lock").write_text("base")
    checkout.commit(top)
    checkout.git(top, "checkout", "--quiet", "-b", "theirs")
    (top / "uv.lock").write_text("good theirs")
    checkout.commit(top)
    checkout.git(top, "checkout", "--quiet", "main")
    (top / "uv.lock").write_text("good ours")
    checkout.commit(top)
    with pytest.raises(Exception, match="merge"):
        checkout.git(top, "merge", "theirs")

    found = [files().restore_argv(top / "uv.lock", side.__eq__) for side in (b"good ours", b"good theirs")]

    assert [("--ours",), ("--theirs",)] == found
