"""Reading the state of a repository with real git."""

import os
import shlex
import subprocess
import tracemalloc
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from mlflow_uv.command.errors import NotCommitted, ToolFailed, ToolMissing
from mlflow_uv.core.release.commit import History, LastChange
from mlflow_uv.tools.git.git import Git
from mlflow_uv.tools.git.messages import OtherEntry
from mlflow_uv.tools.system.process import SystemRunner
from tests.unit.tools.conftest import FakeRunner, completed

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


def nested(content: bytes, *, commit: bool, name: str = "x") -> Callable[[Repository], None]:
    """Make a repository inside, with a file."""

    def make(repository: Repository) -> None:
        inner = Repository(repository.folder / "inner")
        inner.folder.mkdir()
        inner("init", "--quiet")
        inner.write(name, content)
        if commit:
            inner("add", "--all")
            inner("commit", "--quiet", "--message=inner", f"--date={2000 + len(content)}-01-01T00:00:00")

    return make


def link(target: str) -> Callable[[Repository], None]:
    """Make a link that git does not know."""
    return lambda repository: (repository.folder / "link").symlink_to(target)


def foreign(content: bytes, name: bytes = b"n\xe9") -> Callable[[Repository], None]:
    """Write a new file whose name is not UTF-8."""
    return lambda repository: repository.write(os.fsdecode(name), content)


def hidden(flag: str, content: bytes | None) -> Callable[[Repository], None]:
    """Change a tracked file, or delete it, and tell git not to look."""

    def hide(repository: Repository) -> None:
        repository("update-index", flag, "a.txt")
        if content is None:
            (repository.folder / "a.txt").unlink()
        else:
            repository.write("a.txt", content)

    return hide


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (nested(b"1", commit=False), nested(b"2", commit=False)),
        (nested(b"1", commit=True), nested(b"22", commit=True)),
        (nested(b"1", commit=True), nested(b"1", commit=False)),
        (foreign(b"1"), foreign(b"2")),
        (foreign(b"1", b"\xe9"), foreign(b"1", b"\xe8")),
        (link("nowhere"), link("elsewhere")),
        (link("a.txt"), link("nowhere")),
        (link("models"), link("models/wine")),
        (new("a", b"1\0b\0" + b"2"), lambda repository: (new("a", b"1")(repository), new("b", b"2")(repository))),
        (hidden("--assume-unchanged", b"1"), hidden("--assume-unchanged", b"2")),
        (hidden("--skip-worktree", b"1"), hidden("--skip-worktree", b"2")),
        (hidden("--assume-unchanged", None), hidden("--assume-unchanged", b"2")),
    ],
    ids=[
        "repository without a commit", "commit of a repository inside", "with or without a commit",
        "name that is not UTF-8", "two of them", "dangling link", "link to a file", "link to a folder",
        "two files or one", "assumed unchanged", "left out", "assumed unchanged, deleted",
    ],
)  # fmt: skip
def test_what_git_says_little_of_is_told_apart_too(
    tmp_path: Path, one: Callable[[Repository], None], other: Callable[[Repository], None]
) -> None:
    """
    Repositories inside, links, odd names and files that git was told not to look at are read by their contents.
    """
    found: list[str | None] = []
    for soil in (one, other):
        repository = Repository(tmp_path / f"checkout {len(found)}")
        repository.folder.mkdir()
        repository("init", "--quiet")
        repository.write("a.txt")
        repository.write("models/wine/pyproject.toml")
        repository("add", "--all")
        repository("commit", "--quiet", "--message=one")
        soil(repository)
        found.append(git().commit(repository.folder).dirty)

    first, second = found
    assert first != second
    assert None not in found


@pytest.mark.parametrize(
    "soil",
    [
        lambda inner: inner.write("a.txt", b"other\n"),
        lambda inner: inner.write("new.txt"),
        lambda inner: (inner.write("b"), inner("add", "b")),
        lambda inner: (inner.write("a.txt", b"other\n"), inner("commit", "--quiet", "--all", "--message=x")),
    ],
    ids=["changed", "untracked", "staged", "another commit"],
)
def test_what_differs_in_a_submodule_is_dirt(
    repository: Repository, tmp_path: Path, soil: Callable[[Repository], None]
) -> None:
    """
    A training imports from submodules as well: clean is clean all the way down, and each content has its own digest.
    """
    inner = Repository(repository.folder / "inner")
    repository("clone", "--quiet", str(repository.folder), str(tmp_path / "other"))
    repository("-c", "protocol.file.allow=always", "submodule", "--quiet", "add", str(tmp_path / "other"), "inner")
    repository("config", "--file=.gitmodules", "submodule.inner.ignore", "all")
    repository("add", "--all")
    repository("commit", "--quiet", "--message=two")
    clean = git().commit(repository.folder).dirty

    soil(inner)
    dirty = git().commit(repository.folder).dirty
    inner.write("new.txt", b"more")
    dirtier = git().commit(repository.folder).dirty

    assert (None, 3) == (clean, len({clean, dirty, dirtier}))


@pytest.mark.parametrize("flag", ["--assume-unchanged", "--skip-worktree"])
def test_a_file_that_git_does_not_look_at_and_that_is_the_same_is_clean(repository: Repository, flag: str) -> None:
    """
    The flag itself is no difference, whatever line ends or links the file has.
    """
    (repository.folder / "dangling").symlink_to("nowhere")
    repository.write(".gitattributes", b"*.txt text eol=crlf\n")
    repository("add", "--all")
    repository("commit", "--quiet", "--message=two")
    repository.write("a.txt", b"x\r\n")

    repository("update-index", flag, "a.txt", "dangling", ".gitattributes")

    assert git().commit(repository.folder).dirty is None


def test_a_sparse_checkout_is_clean(repository: Repository) -> None:
    """
    Files that were left out on purpose are no difference.
    """
    repository("sparse-checkout", "set", "models/wine")

    found = git().commit(repository.folder).dirty

    assert not (repository.folder / "models" / "weiß wein").exists()
    assert found is None


def test_a_file_called_head_does_not_hide_what_differs(repository: Repository) -> None:
    """
    A name of git's that is a file's too is the commit.
    """
    repository.write("HEAD")
    repository("add", "--all")
    repository("commit", "--quiet", "--message=two")
    change()(repository)

    found = git().commit(repository.folder).dirty

    assert found is not None


def test_a_question_that_git_does_not_answer_is_not_clean(repository: Repository) -> None:
    """
    A broken index says nothing of what differs.
    """
    (repository.folder / ".git" / "index").write_bytes(b"junk")

    with pytest.raises(ToolFailed) as caught:
        git().commit(repository.folder)

    assert "index file" in caught.value.why


def test_a_large_new_file_is_not_held_in_memory(repository: Repository) -> None:
    """
    A checkpoint of some gigabytes beside the code does not end the machine.
    """
    with (repository.folder / "model.bin").open("wb") as file:
        file.truncate(256 * 2**20)
    tracemalloc.start()

    git().commit(repository.folder)

    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 16 * 2**20


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
        "diff.orderFile": str(repository.folder / "models" / "wine" / "pyproject.toml"), "diff.submodule": "diff",
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
    runner = FakeRunner({"rev-parse": completed(stderr=complaint, code=128)})

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


def test_a_committed_file_is_told_from_a_lost_one(repository: Repository) -> None:
    """
    Absent, a link and a folder are answers; a file or a folder whose object is gone is an error.
    """
    repository.write("a b/uv.lock", b"\xe9\r\n")
    (repository.folder / "link").symlink_to("/etc/passwd")
    repository("add", "--all")
    repository("commit", "--quiet", "--message=two")
    head = repository("rev-parse", "HEAD").strip()

    def entry(name: str) -> object:
        return git().committed_file(repository.folder, head, name)

    assert [b"\xe9\r\n", None, None, OtherEntry.LINK, OtherEntry.FOLDER] == [
        entry(name) for name in ("a b/uv.lock", "*/uv.lock", "a b/no/uv.lock", "link", "a b")
    ]
    for lost in ("HEAD:a b/uv.lock", "HEAD:a b"):
        blob = repository("rev-parse", lost).strip()
        (repository.folder / ".git" / "objects" / blob[:2] / blob[2:]).unlink()
        with pytest.raises(ToolFailed, match=f"git cannot read `a b/uv.lock` of commit {head[:12]}"):
            entry("a b/uv.lock")


def test_a_lost_object_is_not_an_absent_file(repository: Repository, tmp_path: Path) -> None:
    """
    A lost file, or folder, of a commit is an error; a commit that is not here is an answer. The origin may have it.
    """
    repository.write("a b/uv.lock", b"one")
    repository("add", "--all")
    repository("commit", "--quiet", "--message=two")
    head = repository("rev-parse", "HEAD").strip()
    origin = tmp_path / "origin.git"
    repository("clone", "--quiet", "--bare", str(repository.folder), str(origin))
    repository("remote", "add", "origin", str(origin))
    folder = repository.folder / "a b"

    assert [b"one", None, None] == [
        git().blob(folder, commit, name)
        for commit, name in ((head, "uv.lock"), (head, "no.lock"), ("b" * 40, "uv.lock"))
    ]
    for lost in ("HEAD:a b/uv.lock", "HEAD:a b"):
        blob = repository("rev-parse", lost).strip()
        (repository.folder / ".git" / "objects" / blob[:2] / blob[2:]).unlink()
        with pytest.raises(ToolFailed, match=f"git cannot read `uv.lock` of commit {head[:12]}"):
            git().blob(folder, head, "uv.lock")
    assert (b"one", None) == (
        git().blob_from_anywhere(folder, head, "uv.lock"), git().blob_from_anywhere(folder, head, "no.lock")
    )  # fmt: skip


@pytest.mark.parametrize("filtered", ["blob:none", "tree:0"])
def test_the_fix_for_a_partial_clone_fetches_its_files(repository: Repository, tmp_path: Path, filtered: str) -> None:
    """
    A clone without contents has no file of an older commit, which is an error and not an absent file.
    """
    repository.write("uv.lock", b"one")
    repository("add", "--all")
    repository("commit", "--quiet", "--message=two")
    old = repository("rev-parse", "HEAD").strip()
    repository.write("uv.lock", b"two")
    repository("add", "--all")
    repository("commit", "--quiet", "--message=three")
    repository("config", "uploadpack.allowFilter", "true")
    clone = tmp_path / "part ü"
    repository("clone", "--quiet", f"--filter={filtered}", f"file://{repository.folder}", str(clone))

    with pytest.raises(ToolFailed) as caught:
        git().committed_file(clone, old, "uv.lock")
    program, *argv = shlex.split(str(caught.value.fix))
    repository("-C", str(clone), *argv)

    assert ("git", b"one") == (program, git().committed_file(clone, old, "uv.lock"))


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


def test_a_blob_that_a_shallow_clone_lacks_comes_from_its_origin(repository: Repository, tmp_path: Path) -> None:
    """
    The clone stays as it is: still shallow, and without what was fetched. A commit that nobody has is None.
    """
    old = repository("rev-parse", "HEAD")
    repository.write("models/wine/pyproject.toml", b"y\n")
    repository("commit", "--quiet", "--all", "--message=two")
    clone = Repository(tmp_path / 'a "shallow" clone')
    repository("clone", "--quiet", "--depth=1", repository.folder.as_uri(), str(clone.folder))
    before = sorted(path for path in clone.folder.rglob("*") if path.is_file())

    project = clone.folder / "models" / "wine"
    here = git().blob(project, old, "pyproject.toml")
    there = git().blob_of_origin(project, old, "pyproject.toml")
    nowhere = git().blob_of_origin(project, "0" * 40, "pyproject.toml")

    after = sorted(path for path in clone.folder.rglob("*") if path.is_file())
    assert (None, b"x\n", None, before) == (here, there, nowhere, after)


def test_of_an_origin_that_can_leave_files_out_only_the_file_is_fetched(repository: Repository, tmp_path: Path) -> None:
    """
    As GitHub can: the commit comes without its files, and then the one that was asked for.
    """
    for key in ("uploadpack.allowFilter", "uploadpack.allowAnySHA1InWant"):
        repository("config", key, "true")
    old = repository("rev-parse", "HEAD")
    repository.write("models/weiß wein/pyproject.toml", b"y\n")
    repository("commit", "--quiet", "--all", "--message=two")
    clone = Repository(tmp_path / "clone")
    repository("clone", "--quiet", "--depth=1", repository.folder.as_uri(), str(clone.folder))

    found = git().blob_of_origin(clone.folder / "models" / "weiß wein", old, "pyproject.toml")

    assert b"x\n" == found


def test_an_origin_that_asks_for_a_password_is_no_answer(repository: Repository) -> None:
    """
    Nobody sits there to type it.
    """
    repository("remote", "add", "origin", "ssh://git@127.0.0.1:9/x.git")

    found = git().blob_of_origin(repository.folder, "1" * 40, "a.txt")

    assert found is None


def test_of_a_file_that_no_commit_has_nobody_knows_when_it_changed(repository: Repository) -> None:
    """
    It is not there, and git says nothing of it.
    """
    found = git().last_change(repository.folder / "no.such")

    assert LastChange(history=History.UNKNOWN, reason="no commit has it") == found


def test_before_the_first_commit_nobody_knows_when_a_file_changed(tmp_path: Path) -> None:
    """
    That git has no answer is one.
    """
    subprocess.run(["git", "init", "--quiet"], cwd=tmp_path, check=True)

    found = git().last_change(tmp_path / "no.such")

    assert History.UNKNOWN is found.history


def test_without_git_nobody_knows_when_a_file_changed(tmp_path: Path) -> None:
    """
    That is an answer, with its reason.
    """
    found = Git(FakeRunner({"git": None}), variables={}).last_change(tmp_path / "uv.lock")

    assert LastChange(history=History.UNKNOWN, reason="`git` cannot be started") == found


def test_a_file_changed_when_its_last_commit_was_made(repository: Repository) -> None:
    """
    By the committer's clock, whatever the folder is called; what others changed since does not matter.
    """
    repository.write("models/weiß wein/uv.lock")
    repository("add", "--all")
    repository("-c", "log.showSignature=true", "commit", "--quiet", "--message=two", "--date=2001-01-01T00:00:00Z")
    committed = float(repository("show", "--no-patch", "--format=%ct", "HEAD"))
    repository.write("a.txt", b"y\n")

    found = git().last_change(repository.folder / "models" / "weiß wein" / "uv.lock")

    assert LastChange(history=History.COMMITTED, at_s=committed) == found
