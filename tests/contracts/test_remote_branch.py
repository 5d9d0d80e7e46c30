"""Contract: git reads a file of another repository and pushes a commit, and starts no program that it names."""

import base64
import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from mlflow_uv.command.errors import BadInput, PlanOutdated, ToolFailed
from mlflow_uv.tools.git.remote_branch import FileChange, RemoteBranch, require_github
from mlflow_uv.tools.system.process import Command, Completed, SystemRunner
from tests.git_server import git_server

FILE, TOKEN = "apps/ü x.yaml", "made-up-token"
PROPOSED = "mlflow-uv/prod-12345678"


class KeptRunner(SystemRunner):
    """Keeps the arguments of every program, and the files that have the token after one ended."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[Sequence[str]] = []
        self.written: list[Path] = []

    def run(self, command: Command) -> Completed:
        """See Runner."""
        self.calls.append(command.argv)
        done = super().run(command)
        files = [path for path in command.folder.rglob("*") if path.is_file()]
        login = base64.b64encode(f"x-access-token:{TOKEN}".encode())
        self.written += [path for path in files if TOKEN.encode() in (text := path.read_bytes()) or login in text]
        return done


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

    def on_proposal(self, *argv: str, edited: str | None = None, force: bool = False) -> str:
        """
        Push what a command of git makes on the branch of proposals, with the file `edited`; returns its commit.

        `topic` is a branch with a commit of its own.
        """
        self.git(self.clone, "fetch", "--quiet", "--force", str(self.bare), "+refs/heads/*:refs/heads/*", "-u")
        self.git(self.clone, "checkout", "--quiet", "-B", "topic", "main")
        self.git(self.clone, "commit", "--quiet", "--allow-empty", "--message=topic")
        self.git(self.clone, "checkout", "--quiet", PROPOSED)
        if edited is not None:
            (self.clone / FILE).write_text(edited)
        self.git(self.clone, *argv)
        forced = ("--force",) if force else ()
        self.git(self.clone, "push", "--quiet", *forced, str(self.bare), f"HEAD:{PROPOSED}")
        tip = self.git(self.clone, "rev-parse", "HEAD").strip()
        self.git(self.clone, "checkout", "--quiet", "--force", "main")
        return tip

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
    return FileChange(path=FILE, before=before.encode(), after=after.encode(), message="Deploy 1\n\nmore\n")


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
    assert ["Deploy 1\n\nmore\n\n", f"{FILE}\n"] == [
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


def test_an_earlier_proposal_is_replaced(repository: Repository) -> None:
    """
    The branch is the base with one commit, also after somebody merged the base into it, or the proposal into the base.
    """
    with git_server(repository.root) as url:
        branch = branch_of(url)
        branch.push(change("image: 1\n", "image: 2\n"), to=PROPOSED)
        branch.push(change("image: 1\n", "image: 3\n"), to=PROPOSED)
        counted = repository.git(repository.bare, "rev-list", "--count", PROPOSED)
        repository.commit({"other": "y"})
        repository.on_proposal("merge", "--quiet", "--no-ff", "--message=Merge", "main")
        branch.push(change("image: 1\n", "image: 4\n"), to=PROPOSED)
        proposed = repository.file(FILE, PROPOSED)
        repository.git(repository.bare, "update-ref", "refs/heads/main", PROPOSED)
        branch.push(change("image: 4\n", "image: 5\n"), to=PROPOSED)

    assert ("2\n", "image: 4\n") == (counted, proposed)
    assert ("image: 4\n", "image: 5\n") == (repository.file(FILE), repository.file(FILE, PROPOSED))


@pytest.mark.parametrize(
    "theirs",
    [
        ("commit", "--quiet", "--allow-empty", "--message=theirs"),
        ("commit", "--quiet", "--allow-empty", "--message=Deploy wine version 9 as prod"),
        ("revert", "--no-edit", "HEAD"),
        ("commit", "--quiet", "--amend", "--no-edit", "--all"),
        ("commit", "--quiet", "--all", "--message=Deploy with seven replicas"),
        ("merge", "--quiet", "--no-ff", "--message=Deploy of mine", "topic"),
    ],
    ids=["theirs", "empty", "revert", "amended", "same file", "merge"],
)
def test_what_others_committed_to_a_proposal_is_not_lost(repository: Repository, theirs: tuple[str, ...]) -> None:
    """
    The message names their commit; with the branch gone, the next run proposes.
    """
    with git_server(repository.root) as url:
        branch = branch_of(url)
        branch.push(change("image: 1\n", "image: 2\n"), to=PROPOSED)
        edited = "image: 2\nreplicas: 7\n" if "--all" in theirs else None
        tip = repository.on_proposal(*theirs, edited=edited, force="--amend" in theirs)
        named = repository.git(repository.bare, "rev-parse", f"{PROPOSED}^2").strip() if "topic" in theirs else tip
        with pytest.raises(BadInput, match=rf"no run of deploy made.*\n?.*{named[:12]}"):
            branch.push(change("image: 1\n", "image: 3\n"), to=PROPOSED)
        kept = repository.git(repository.bare, "rev-parse", PROPOSED).strip()
        repository.git(repository.bare, "update-ref", "-d", f"refs/heads/{PROPOSED}")
        branch.push(change("image: 1\n", "image: 3\n"), to=PROPOSED)

    assert (tip, "image: 3\n") == (kept, repository.file(FILE, PROPOSED))


def test_what_others_put_below_a_proposal_is_not_lost(repository: Repository) -> None:
    """
    The newest commit is one of a run.
    """
    with git_server(repository.root) as url:
        branch = branch_of(url)
        ours = branch.push(change("image: 1\n", "image: 2\n"), to=PROPOSED)
        repository.on_proposal("reset", "--quiet", "--hard", "main", force=True)
        theirs = repository.on_proposal("commit", "--quiet", "--allow-empty", "--message=theirs")
        repository.on_proposal("cherry-pick", ours)
        with pytest.raises(BadInput, match=rf"no run of deploy made.*\n?.*{theirs[:12]}"):
            branch.push(change("image: 1\n", "image: 3\n"), to=PROPOSED)


def test_what_others_changed_in_a_merge_of_the_base_is_not_lost(repository: Repository) -> None:
    """
    Without that change the merge is part of the proposal.
    """
    with git_server(repository.root) as url:
        branch = branch_of(url)
        branch.push(change("image: 1\n", "image: 2\n"), to=PROPOSED)
        repository.commit({"other": "y"})
        repository.on_proposal("merge", "--quiet", "--no-ff", "--message=Merge", "main")
        edited = ("commit", "--quiet", "--amend", "--no-edit", "--all")
        theirs = repository.on_proposal(*edited, edited="image: 2\nreplicas: 7\n", force=True)
        with pytest.raises(BadInput, match=rf"no run of deploy made.*\n?.*{theirs[:12]}"):
            branch.push(change("image: 1\n", "image: 3\n"), to=PROPOSED)


def test_an_old_proposal_is_replaced_when_the_base_has_a_long_history_since(repository: Repository) -> None:
    """
    Only the newest commits of both are read at first, and none of the base's old ones is taken for one of others.
    """
    with git_server(repository.root) as url:
        branch_of(url).push(change("image: 1\n", "image: 2\n"), to=PROPOSED)
        tree = repository.git(repository.bare, "rev-parse", "main^{tree}").strip()
        tip = repository.git(repository.bare, "rev-parse", "main").strip()
        for number in range(210):
            tip = repository.git(repository.bare, "commit-tree", tree, "-p", tip, "-m", str(number)).strip()
        repository.git(repository.bare, "update-ref", "refs/heads/main", tip)
        branch_of(url).push(change("image: 1\n", "image: 3\n"), to=PROPOSED)

    assert "image: 3\n" == repository.file(FILE, PROPOSED)


def test_a_commit_to_a_proposal_during_the_push_is_not_lost(repository: Repository) -> None:
    """
    The push is for the branch as it was read; what came then is looked at.
    """
    tips: list[str] = []

    class Interrupted(SystemRunner):
        def run(self, command: Command) -> Completed:
            if "push" in command.argv and not tips:
                tips.append(repository.on_proposal("commit", "--quiet", "--allow-empty", "--message=theirs"))
            return super().run(command)

    with git_server(repository.root) as url:
        branch_of(url).push(change("image: 1\n", "image: 2\n"), to=PROPOSED)
        with pytest.raises(BadInput, match="no run of deploy made"):
            branch_of(url, Interrupted()).push(change("image: 1\n", "image: 3\n"), to=PROPOSED)

    assert tips == [repository.git(repository.bare, "rev-parse", PROPOSED).strip()]


def test_a_server_that_refuses_a_branch_says_why(repository: Repository) -> None:
    """
    A hook of the server, as a protected branch has, and a branch whose name is a folder of ours.
    """
    hook = repository.bare / "hooks" / "update"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text('#!/bin/sh\n[ "$1" != refs/heads/main ]\n')
    hook.chmod(0o755)
    repository.git(repository.bare, "branch", PROPOSED.partition("/")[0], "main")

    with git_server(repository.root) as url:
        with pytest.raises(ToolFailed, match="hook declined") as protected:
            branch_of(url).push(change("image: 1\n", "image: 2\n"), to="main")
        with pytest.raises(ToolFailed, match="a branch `mlflow-uv`") as taken:
            branch_of(url).push(change("image: 1\n", "image: 2\n"), to=PROPOSED)

    assert "or set pull-request = true" in str(protected.value.fix)
    assert "rename the branch `mlflow-uv`" in str(taken.value.fix)


@pytest.mark.parametrize(
    ("address", "variables", "permitted"),
    [
        ("https://github.com/o/r.git", {}, True),
        ("ssh://git@github.com/o/r.git", {}, True),
        ("ssh://git@ssh.github.com:443/o/r.git", {}, True),
        ("https://ghe.example/o/r", {"GITHUB_SERVER_URL": "https://ghe.example"}, True),
        ("https://gitlab.example/o/r", {}, False),
        ("https://github.com.example/o/r", {}, False),
        ("ssh://github.com@evil.example/o/r", {}, False),
        ("https://github.com/o/r", {"GITHUB_SERVER_URL": "https://ghe.example"}, False),
    ],
)
def test_a_repository_elsewhere_gets_no_pull_request_in_one_of_its_name(
    address: str, variables: Mapping[str, str], permitted: bool
) -> None:
    """
    GitHub may have a repository of the same owner and name, of somebody else.
    """
    if permitted:
        require_github(address, variables)
    else:
        with pytest.raises(BadInput, match="no pull request can be opened"):
            require_github(address, variables)


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
    assert [] == runner.written
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
