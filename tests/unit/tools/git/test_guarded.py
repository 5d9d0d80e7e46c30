"""Git is run so that a checkout names neither its work tree nor a program, and its failures are no empty output."""

import os
from pathlib import Path

import pytest

from mlflow_uv.command.errors import ToolFailed
from mlflow_uv.tools.git.guarded import GuardedGit
from mlflow_uv.tools.system.process import SystemRunner
from tests import checkout
from tests.unit.tools.conftest import FakeRunner


def git(runner: FakeRunner | None = None) -> GuardedGit:
    """Git of this caller."""
    return GuardedGit(runner or SystemRunner(), variables=dict(os.environ))


@pytest.fixture
def top(tmp_path: Path) -> Path:
    """A repository with a folder."""
    (tmp_path / "a\nb" / "folder").mkdir(parents=True)
    (tmp_path / "a\nb" / "folder" / "x").touch()
    checkout.repository(tmp_path / "a\nb")
    return tmp_path / "a\nb"


def test_the_root_is_found_whatever_its_name(top: Path) -> None:
    """
    From a folder in it, and through a link to one.
    """
    (top.parent / "link").symlink_to(top / "folder")

    assert [top, top] == [git().top(folder) for folder in (top / "folder", top.parent / "link")]


def test_a_work_tree_that_is_elsewhere_is_refused(top: Path, tmp_path: Path) -> None:
    """
    `core.worktree` of a checkout would make git read files of the machine.
    """
    (tmp_path / "elsewhere").mkdir()
    checkout.git(top, "config", "core.worktree", str(tmp_path / "elsewhere"))

    with pytest.raises(ToolFailed, match="not in the work tree of its own repository"):
        git().top(top)


def test_a_failure_is_no_empty_output(tmp_path: Path) -> None:
    """
    Outside of a repository nothing is tracked, and nobody may take that for a clean tree.
    """
    with pytest.raises(ToolFailed, match="`git ls-files` failed") as caught:
        git().output(tmp_path, "ls-files")

    assert "not a git repository" in caught.value.why


@pytest.mark.parametrize("program", ["core.fsmonitor", "filter.evil.clean", "core.pager", "diff.external"])
def test_a_program_that_the_repository_names_is_not_started(top: Path, tmp_path: Path, program: str) -> None:
    """
    Neither by `status` nor by `diff`, with the overrides of its filters.
    """
    marker = tmp_path / "marker"
    checkout.git(top, "config", program, f"touch {marker}; cat")
    (top / ".gitattributes").write_text("* filter=evil\n")
    (top / "folder" / "x").write_text("changed")

    for argv in (("status", "--porcelain"), ("diff", "--no-ext-diff"), ("diff-files", "--name-only")):
        git().run(top, *argv, variables=git().filters(top))

    assert not marker.exists()


def test_in_such_a_folder_git_is_not_started(tmp_path: Path) -> None:
    """
    The answer is that of a git that refuses it.
    """
    (tmp_path / "HEAD").touch()
    for name in ("objects", "refs"):
        (tmp_path / name).mkdir()
    runner = FakeRunner()

    done = git(runner).run(tmp_path, "status")

    assert (128, f"fatal: cannot use bare repository '{tmp_path}'\n", []) == (done.code, done.stderr, runner.asked)


def test_every_call_has_the_guard_and_no_prompt() -> None:
    """
    Also a fetch, which fails without a word: its caller looks at what came.
    """
    runner = FakeRunner()

    git(runner).fetch(Path("/w"), "0" * 40, origin={"A": "b"})

    command = runner.asked[0]
    assert ("git", "--no-pager", "0", "b") == (
        *command.argv[:2], command.variables["GIT_TERMINAL_PROMPT"], command.variables["A"],
    )  # fmt: skip
    assert any(word.startswith("core.fsmonitor=") for word in command.argv)
    assert {"--no-write-fetch-head", "--recurse-submodules=no"} <= set(command.argv)
