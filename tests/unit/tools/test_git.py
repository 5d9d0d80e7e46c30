"""Which state of a repository does git name? Real git, in repositories of our own."""

import os
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from mlflow_uv.errors import NotCommitted, ToolMissing
from mlflow_uv.tools.git import Git
from mlflow_uv.tools.process import SystemRunner
from tests.unit.tools.conftest import FakeRunner, said

IDENTITY = ("-c", "user.name=T", "-c", "user.email=t@example.test", "-c", "commit.gpgsign=false")


@dataclass(frozen=True)
class Repository:
    """A repository in a temporary folder."""

    folder: Path

    def __call__(self, *argv: str) -> str:
        """Run git in it."""
        done = subprocess.run(["git", *IDENTITY, *argv], cwd=self.folder, check=True, capture_output=True, text=True)
        return done.stdout.strip()

    def write(self, name: str, content: bytes = b"x\n") -> None:
        """Write a file."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    """A clean repository with one commit, in a folder whose name is not easy."""
    repository = Repository(tmp_path / "mein Modell ü")
    repository.folder.mkdir()
    repository("init", "--quiet", "--initial-branch=main")
    repository.write("a.txt")
    repository.write("models/wine/pyproject.toml")
    repository.write("models/weiß wein/pyproject.toml")
    repository.write(".gitignore", b"ignored/\n")
    repository("add", "--all")
    repository("commit", "--quiet", "--message=one")
    return repository


def git(**variables: str) -> Git:
    """Our git, called with these variables."""
    return Git(SystemRunner(), variables={**os.environ, **variables})


@pytest.mark.parametrize("project", [".", "models/wine", "models/weiß wein"])
def test_a_commit_is_named_with_the_projects_path(repository: Repository, project: str) -> None:
    """
    The path is the one in the repository, with any name, and clean is None.
    """
    commit = git().commit(repository.folder / project)

    assert (repository("rev-parse", "HEAD"), project, None) == (commit.sha, commit.project, commit.dirty)


def change(content: bytes = b"y\n") -> Callable[[Repository], None]:
    """Write a tracked file."""
    return lambda repository: repository.write("a.txt", content)


def new(name: str, content: bytes = b"y\n") -> Callable[[Repository], None]:
    """Write a file that git does not know."""
    return lambda repository: repository.write(name, content)


@pytest.mark.parametrize(
    "soil",
    [
        change(),
        new("new.txt"),
        new("ünter wegs/nöu file.txt"),
        new("empty", b""),
        lambda repository: (repository.folder / "a.txt").unlink(),
        lambda repository: (repository.folder / "a.txt").chmod(0o755),
        lambda repository: (repository.write("b"), repository("add", "b")),
    ],
    ids=["changed", "untracked", "untracked, no ASCII", "untracked, empty", "deleted", "mode", "staged"],
)
def test_anything_that_differs_from_head_makes_it_dirty(
    repository: Repository, soil: Callable[[Repository], None]
) -> None:
    """
    Changed, deleted, staged or new, anywhere in the repository: a training may import it.
    """
    soil(repository)

    commit = git().commit(repository.folder / "models" / "wine")

    assert commit.dirty is not None


def test_what_git_ignores_is_not_dirt(repository: Repository) -> None:
    """
    Data sets, environments and caches do not name another state.
    """
    repository.write("ignored/big.bin")

    found = git().commit(repository.folder).dirty

    assert found is None


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (change(b"y\n"), change(b"z\n")),
        (change(b"\xe9\n"), change(b"\xe8\n")),
        (change(b"\0\xe9"), change(b"\0\xe8")),
        (new("n", b"1"), new("n", b"2")),
        (new("n", b"1"), new("m", b"1")),
        (new("n"), change()),
    ],
    ids=["text", "text that is not UTF-8", "binary", "content of a new file", "name of a new file", "new or changed"],
)
def test_another_difference_has_another_digest(
    repository: Repository, one: Callable[[Repository], None], other: Callable[[Repository], None]
) -> None:
    """
    Two states that differ are not the same release.
    """
    one(repository)
    first = git().commit(repository.folder).dirty
    repository("checkout", "--quiet", ".")
    repository("clean", "--quiet", "--force", "-d")
    other(repository)

    second = git().commit(repository.folder).dirty

    assert first != second


def test_the_same_difference_has_the_same_digest_from_any_folder(repository: Repository) -> None:
    """
    The digest does not depend on where it is asked, nor on whether the change is staged.
    """
    change()(repository)
    new("n")(repository)
    at_root = git().commit(repository.folder).dirty
    repository("add", "a.txt")

    below = git().commit(repository.folder / "models" / "wine").dirty

    assert at_root == below


def test_settings_of_the_user_do_not_change_the_digest(repository: Repository) -> None:
    """
    Somebody's own diff tool, prefixes or colours are about showing, not about what differs.
    """
    change()(repository)
    before = git().commit(repository.folder).dirty
    for key, value in {
        "diff.external": "false", "diff.noprefix": "true", "color.ui": "always", "diff.algorithm": "patience",
        "core.abbrev": "40", "diff.context": "9", "diff.renames": "copies", "core.quotePath": "true",
    }.items():  # fmt: skip
        repository("config", key, value)

    after = git().commit(repository.folder).dirty

    assert before == after


def test_a_running_hook_does_not_steer_us(repository: Repository, tmp_path: Path) -> None:
    """
    git sets GIT_DIR and GIT_INDEX_FILE for a hook; the question is about the folder that was named.
    """
    other = Repository(tmp_path / "other")
    other.folder.mkdir()
    other("init", "--quiet")

    commit = git(
        GIT_DIR=str(other.folder / ".git"), GIT_WORK_TREE=str(other.folder), GIT_INDEX_FILE=str(tmp_path / "index")
    ).commit(repository.folder)

    assert (repository("rev-parse", "HEAD"), None) == (commit.sha, commit.dirty)


def test_asking_changes_nothing(repository: Repository) -> None:
    """
    Not even the index is refreshed: a hook may be holding it.
    """
    os.utime(repository.folder / "a.txt", (1, 1))
    index = repository.folder / ".git" / "index"
    before = (index.stat().st_mtime_ns, index.read_bytes())

    git().commit(repository.folder)

    assert before == (index.stat().st_mtime_ns, index.read_bytes())


def test_a_folder_without_a_commit_has_no_name(tmp_path: Path) -> None:
    """
    Outside a repository, and before its first commit.
    """
    with pytest.raises(NotCommitted) as outside:
        git(GIT_CEILING_DIRECTORIES=str(tmp_path.parent)).commit(tmp_path)
    subprocess.run(["git", "init", "--quiet"], cwd=tmp_path, check=True)
    with pytest.raises(NotCommitted) as unborn:
        git().commit(tmp_path)

    fix = "git init && git add -A && git commit"
    assert [fix, fix] == [outside.value.fix, unborn.value.fix]


def test_a_repository_of_somebody_else_can_be_trusted(tmp_path: Path) -> None:
    """
    In a container the checkout often belongs to another user; `git init` would not help.
    """
    complaint = f"fatal: detected dubious ownership in repository at '{tmp_path}'\nTo add an exception ..."
    runner = FakeRunner({"rev-parse": said(stderr=complaint, code=128)})

    with pytest.raises(NotCommitted) as caught:
        Git(runner, variables={}).commit(tmp_path)

    assert f"git config --global --add safe.directory {tmp_path}" == caught.value.fix


def test_without_git_the_fix_is_to_install_it(tmp_path: Path) -> None:
    """
    A container without git is common.
    """
    with pytest.raises(ToolMissing) as caught:
        git(PATH=str(tmp_path)).commit(tmp_path)

    assert ("git is not installed", "apt-get install git") == (caught.value.what, caught.value.fix)


def test_a_file_at_a_commit_is_its_bytes(repository: Repository) -> None:
    """
    An audit reads the lock from the commit, not from the folder.
    """
    repository.write("models/wine/uv.lock", "ü\r\n".encode())
    repository("add", "--all")
    repository("commit", "--quiet", "--message=two")
    repository.write("models/wine/uv.lock", b"changed")

    found = git().blob(repository.folder / "models" / "wine", "HEAD", "uv.lock")

    assert "ü\r\n".encode() == found


def test_a_file_that_a_commit_does_not_have_is_none(repository: Repository) -> None:
    """
    Not found is an answer.
    """
    found = git().blob(repository.folder, "HEAD", "no.such")

    assert found is None


def test_git_tells_its_version() -> None:
    """
    For `doctor`.
    """
    found = git().version()

    assert found is not None
    assert found[0].isdigit()


def test_a_blob_is_its_bytes(repository: Repository) -> None:
    """
    What is digested is neither masked nor decoded: credentials in a URL and bytes that are not UTF-8 stay as they are.
    """
    data = b'url = "https://user:password@host/x"\n\xe9\n'
    repository.write("uv.lock", data)
    repository("add", "--all")
    repository("commit", "--quiet", "--message=x")

    found = git().blob(repository.folder, "HEAD", "uv.lock")

    assert data == found
