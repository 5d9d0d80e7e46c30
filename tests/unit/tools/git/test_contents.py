"""The contents of folders by the ids that git gives them, as they are on disk and at a commit."""

import os
from pathlib import Path

import pytest

from mlflow_uv.tools.git.contents import contents_at, contents_now
from mlflow_uv.tools.git.guarded import GuardedGit
from mlflow_uv.tools.system.process import SystemRunner
from tests import checkout


@pytest.fixture
def git() -> GuardedGit:
    """Git of this caller."""
    return GuardedGit(SystemRunner(), variables=dict(os.environ))


@pytest.fixture
def top(tmp_path: Path) -> Path:
    """A repository with a project and data beside it."""
    for name in ("model/train.py", "data/rows.csv", "model/names \t ü.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(name)
    (tmp_path / ".gitignore").write_text("*.log\n")
    checkout.repository(tmp_path)
    return tmp_path


def nested(folder: Path) -> tuple[str, str | None]:
    """The state of a nested repository."""
    return f"state of {folder.name}", None


def now(git: GuardedGit, top: Path, *scopes: str) -> dict[str, str]:
    """The contents on disk below these folders."""
    return contents_now(git, nested, top, tuple(top / scope for scope in scopes))


def test_a_clean_tree_has_the_contents_of_its_commit(git: GuardedGit, top: Path) -> None:
    """
    Below the folders that are asked for, and nowhere else.
    """
    on_disk, at_head = now(git, top, "model"), contents_at(git, top, "HEAD", (top / "model",))

    assert (on_disk, {"model/train.py", "model/names \t ü.txt"}) == (at_head, set(on_disk))


def test_edited_new_and_deleted_files_count_as_they_are(git: GuardedGit, top: Path) -> None:
    """
    An ignored file does not; a file with the same bytes has the same id, wherever it is.
    """
    before = now(git, top, "model")
    (top / "model/train.py").write_text("changed")
    (top / "model/copy.txt").write_text("model/names \t ü.txt")
    (top / "model/names \t ü.txt").unlink()
    (top / "model/x.log").write_text("x")

    after = now(git, top, "model")

    assert {"model/train.py", "model/copy.txt"} == set(after)
    assert (True, before["model/names \t ü.txt"]) == (
        before["model/train.py"] != after["model/train.py"], after["model/copy.txt"],
    )  # fmt: skip


def test_a_link_counts_by_its_target(git: GuardedGit, top: Path) -> None:
    """
    Whatever the file has to which it leads.
    """
    (top / "model/link").symlink_to("train.py")
    first = now(git, top, "model")["model/link"]
    (top / "model/train.py").write_text("changed")

    assert first == now(git, top, "model")["model/link"]


def test_a_file_that_git_was_told_to_overlook_is_looked_at(git: GuardedGit, top: Path) -> None:
    """
    `--assume-unchanged` hides an edit from `git status`, not from a release.
    """
    checkout.git(top, "update-index", "--assume-unchanged", "model/train.py")
    before = now(git, top, "model")["model/train.py"]
    (top / "model/train.py").write_text("changed behind git's back")

    assert before != now(git, top, "model")["model/train.py"]


def test_a_pointer_of_lfs_is_not_the_file_that_it_points_to(git: GuardedGit, top: Path) -> None:
    """
    Both have the same id in git; one is data, the other a text of 130 bytes.
    """
    (top / ".gitattributes").write_text("*.csv filter=lfs\n")
    (top / "data/rows.csv").write_text("version https://git-lfs.github.com/spec/v1\noid sha256:1\n")

    assert now(git, top, "data")["data/rows.csv"].endswith(" as stored")


def test_a_repository_inside_of_the_folder_counts_by_its_state(git: GuardedGit, top: Path) -> None:
    """
    Git lists no file in it.
    """
    (top / "model/inner").mkdir()
    (top / "model/inner/x").touch()
    checkout.repository(top / "model/inner")

    assert "state of inner" == now(git, top, "model/inner")["model/inner"]


def test_a_commit_that_is_not_there_has_no_contents(git: GuardedGit, top: Path) -> None:
    """
    As in a shallow clone.
    """
    assert contents_at(git, top, "0" * 40, (top,)) is None
