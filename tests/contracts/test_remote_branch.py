"""Contract: git reads a file of another repository and pushes a commit, and starts no program that it names."""

import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from mlflow_uv.command.errors import BadInput, PlanOutdated, ToolFailed
from mlflow_uv.tools.git.remote_branch import FileChange, RemoteBranch
from mlflow_uv.tools.system.process import Command, Completed, SystemRunner
from tests.git_server import git_server

FILE, TOKEN = "apps/ü x.yaml", "made-up-token"


class KeptRunner(SystemRunner):
    """Keeps the arguments of every program."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[Sequence[str]] = []

    def run(self, command: Command) -> Completed:
        """See Runner."""
        self.calls.append(command.argv)
        return super().run(command)


class Repository:
    """A bare repository, and a clone of somebody who pushes to it."""

    def __init__(self, folder: Path) -> None:
        self.root, self.clone = folder / "served", folder / "clone"
        self.bare = self.root / "o" / "r.git"
        self.bare.mkdir(parents=True)
        self.git(self.bare, "init", "--quiet", "--bare", "--initial-branch=main", ".")
        self.git(self.bare, "config", "http.receivepack", "true")
        self.clone.mkdir()
        self.git(self.clone, "init", "--quiet", "--initial-branch=main", ".")
        self.commit({FILE: "image: 1\n", "other": "x"})

    def git(self, folder: Path, *argv: str) -> str:
        """Run git as somebody else does."""
        who = {f"GIT_{role}_{part}": "a@b" for role in ("AUTHOR", "COMMITTER") for part in ("NAME", "EMAIL")}
        place = {"GIT_DIR": str(folder)} if folder == self.bare else {}
        done = subprocess.run(
            ("git", *argv),
            cwd=folder,
            env={"PATH": os.environ["PATH"], **who, **place},
            stdout=subprocess.PIPE,
            check=True,
        )
        return done.stdout.decode()

    def commit(self, files: Mapping[str, str]) -> None:
        """Push a commit with other contents of files."""
        for name, text in files.items():
            (self.clone / name).parent.mkdir(exist_ok=True)
            (self.clone / name).write_text(text)
        self.git(self.clone, "add", "--all")
        self.git(self.clone, "commit", "--quiet", "--message=theirs")
        self.git(self.clone, "push", "--quiet", "--force", str(self.bare), "HEAD:main")

    def file(self, name: str, branch: str = "main") -> str:
        """The content of a file on a branch."""
        return self.git(self.bare, "show", f"{branch}:{name}")


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    """A repository with one commit."""
    return Repository(tmp_path)


def branch_of(url: str, runner: SystemRunner | None = None, **variables: str) -> RemoteBranch:
    """The branch main as this program opens it."""
    own = {"PATH": os.environ["PATH"], "HOME": "/nonexistent", **variables}
    return RemoteBranch(runner or SystemRunner(), own, f"{url}/o/r.git", "main")


def change(before: str, after: str) -> FileChange:
    """A change of the file."""
    return FileChange(path=FILE, before=before.encode(), after=after.encode(), message="Deploy\n\nmore\n")


def test_a_commit_changes_the_file_alone(repository: Repository) -> None:
    """
    Bytes are kept as they are, and what the file was before is in the history.
    """
    with git_server(repository.root) as url:
        branch = branch_of(url)
        state = branch.read(FILE)
        commit = branch.push(change("image: 1\n", "image: 2\r\n"), to="main")
        branch.push(change("image: 2\r\n", "image: 3\n"), to="main")
        earlier = list(branch.earlier(FILE))

    assert b"image: 1\n" == state.data
    assert [b"image: 2\r\n", b"image: 1\n"] == earlier
    assert ["Deploy\n\nmore\n\n", f"{FILE}\n"] == [
        repository.git(repository.bare, "show", "--no-patch", "--format=%B", commit),
        repository.git(repository.bare, "-c", "core.quotePath=off", "show", "--format=", "--name-only", commit),
    ]


def test_what_others_pushed_to_other_files_stays_and_what_they_pushed_to_this_one_stops_the_push(
    repository: Repository,
) -> None:
    """
    The commit is made anew on theirs.
    """
    theirs: list[Mapping[str, str]] = [{"other": "y"}, {FILE: "image: 7\n"}]

    class Interrupted(SystemRunner):
        def run(self, command: Command) -> Completed:
            if "push" in command.argv and theirs:
                repository.commit(theirs.pop(0))
            return super().run(command)

    with git_server(repository.root) as url:
        branch = branch_of(url, Interrupted())
        # The second attempt to push is interrupted, too: by a change of the file itself.
        with pytest.raises(PlanOutdated, match="changed after the plan"):
            branch.push(change("image: 1\n", "image: 2\n"), to="main")
        branch.push(change("image: 7\n", "image: 8\n"), to="main")

    assert ("image: 8\n", "y") == (repository.file(FILE), repository.file("other"))


def test_a_branch_of_our_own_is_replaced(repository: Repository) -> None:
    """
    It is the base with one commit, whatever was on it.
    """
    with git_server(repository.root) as url:
        branch = branch_of(url)
        branch.push(change("image: 1\n", "image: 2\n"), to="mlflow-uv/prod")
        branch.push(change("image: 1\n", "image: 3\n"), to="mlflow-uv/prod")

    assert ("image: 1\n", "image: 3\n") == (repository.file(FILE), repository.file(FILE, "mlflow-uv/prod"))
    assert "2\n" == repository.git(repository.bare, "rev-list", "--count", "mlflow-uv/prod")


def test_no_program_that_the_repository_or_its_attributes_name_is_started(
    repository: Repository, tmp_path: Path
) -> None:
    """
    A filter of the user's own, such as that of LFS, would change the bytes; a hook of a template would see the login.
    """
    trap, home = tmp_path / "trap", tmp_path / "home"
    template = home / "template" / "hooks"
    template.mkdir(parents=True)
    for name in ("pre-push", "reference-transaction", "post-index-change"):
        (template / name).write_text(f"#!/bin/sh\ntouch '{trap}'\n")
        (template / name).chmod(0o755)
    program = f"touch '{trap}'; cat"
    (home / ".gitconfig").write_text(
        f"[init]\ntemplateDir = {home / 'template'}\n[core]\nhooksPath = {template}\n"
        f'[filter "trap"]\nclean = "{program}"\nsmudge = "{program}"\nrequired = true\n[core]\nautocrlf = true\n'
    )
    repository.commit({".gitattributes": "* filter=trap text eol=crlf\n"})

    with git_server(repository.root) as url:
        branch_of(url, HOME=str(home)).push(change("image: 1\n", "image: 2\r\n"), to="main")

    assert "image: 2\r\n" == repository.file(FILE)
    assert not trap.exists()


def test_the_token_of_a_job_is_for_its_own_server_and_in_no_argument(repository: Repository) -> None:
    """
    Another server asks for a login, and gets none.
    """
    runner = KeptRunner()
    with git_server(repository.root, token=TOKEN) as url:
        branch = branch_of(url, runner, GITHUB_SERVER_URL=url, GITHUB_TOKEN=TOKEN)
        branch.push(change("image: 1\n", "image: 2\n"), to="main")
        with pytest.raises(ToolFailed, match="cannot read the branch") as refused:
            branch_of(url, GITHUB_SERVER_URL="https://github.example", GITHUB_TOKEN=TOKEN).read(FILE)

    assert "image: 2\n" == repository.file(FILE)
    words = [word for argv in runner.calls for word in argv]
    assert not [word for word in words if TOKEN in word or "Authorization" in word]
    assert TOKEN not in refused.value.text


def test_what_is_no_file_or_not_there_is_neither_followed_nor_made(repository: Repository) -> None:
    """
    A link would lead elsewhere, and a path is no pattern.
    """
    (repository.clone / "link.yaml").symlink_to("/etc/passwd")
    repository.commit({})

    with git_server(repository.root) as url:
        branch = branch_of(url)
        with pytest.raises(BadInput, match="is not a file"):
            branch.read("link.yaml")
        missing = [branch.read(name).data for name in ("missing", "apps/*", ":(top)other")]
        with pytest.raises(BadInput, match="is not a file"):
            branch.read("apps")

    assert [None, None, None] == missing
