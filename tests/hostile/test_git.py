"""
What files of a checkout can make git run, and that none of it runs when this program asks git.

Each plant is a program that leaves a canary. Plain git steps on it, so that a test here can fail; no request that this
program asks of git does.
"""

import base64
import contextlib
import os
import pty
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from mlflow_uv.command.errors import NotCommitted, StepError, ToolFailed
from mlflow_uv.command.host import Host
from mlflow_uv.core.release.commit import History
from mlflow_uv.steps import check_lock
from mlflow_uv.surfaces.terminal import terminal
from mlflow_uv.tools.git.git import Git
from mlflow_uv.tools.lock_toolbox import LockTools, locktools
from mlflow_uv.tools.project.files import read_project
from mlflow_uv.tools.system.process import SystemRunner
from mlflow_uv.tools.uv.messages import LockState
from mlflow_uv.tools.uv.uv import LockRequest
from tests import checkout, projects
from tests.waiting import CEILING_S

LATER = "0123456789abcdef0123456789abcdef01234567"


class Asking(ThreadingHTTPServer):
    """A git server that asks everybody for a password, and remembers what it was given."""

    def __init__(self) -> None:
        self.given: list[str] = []
        super().__init__(("127.0.0.1", 0), _Asking)

    @property
    def address(self) -> str:
        """The address of a repository on it."""
        return f"http://127.0.0.1:{self.server_port}/x.git"


class _Asking(BaseHTTPRequestHandler):
    server: Asking

    def do_GET(self) -> None:
        """Answer as GitHub does without credentials."""
        self.server.given.append(self.headers.get("Authorization", ""))
        self.send_response(401)
        self.send_header("WWW-Authenticate", 'Basic realm="git"')
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Nobody reads it."""


@pytest.fixture
def asking() -> Iterator[Asking]:
    """A server that asks for a password."""
    with Asking() as server:
        thread = Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@dataclass(frozen=True)
class HostileRepository:
    """A checkout to plant in: the program leaves the canary, `home` is the user's, `asking` wants a password."""

    folder: Path
    program: Path
    canary: Path
    home: Path
    asking: Asking = field(repr=False)

    @property
    def variables(self) -> dict[str, str]:
        """The user's variables."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
        return kept | {"HOME": str(self.home), "XDG_CONFIG_HOME": str(self.home)}

    def git(self, *argv: str, at: str = ".") -> str:
        """Plain git, as the user would start it; how it ends does not matter."""
        done = subprocess.run(
            ["git", *checkout.IDENTITY, *argv],
            cwd=self.folder / at,
            env=self.variables | {"GIT_TERMINAL_PROMPT": "0"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=CEILING_S,
        )
        return done.stdout.strip()

    def terminal(self, *argv: str) -> None:
        """Plain git on a terminal."""
        leader, follower = pty.openpty()
        with os.fdopen(leader, "rb", buffering=0), os.fdopen(follower, "wb", buffering=0) as output:
            command = ["git", *argv]
            subprocess.run(command, cwd=self.folder, env=self.variables, stdout=output, check=False, timeout=CEILING_S)

    def config(self, *pairs: str, flags: tuple[str, ...] = ()) -> None:
        """Settings of the repository."""
        for key, value in zip(pairs[::2], pairs[1::2], strict=True):
            self.git("config", *flags, key, value)

    def write(self, name: str, text: str = "x\n") -> Path:
        """Write a file."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    def ran(self) -> bool:
        """Whether the program ran since this was asked last."""
        ran = self.canary.exists()
        self.canary.unlink(missing_ok=True)
        return ran


@pytest.fixture
def hostile(tmp_path: Path, asking: Asking) -> HostileRepository:
    """A checkout with a commit, in which a file was changed to one of the same size."""
    folder, canary, home = tmp_path / "checkout", tmp_path / "canary", tmp_path / "home"
    folder.mkdir()
    home.mkdir()
    program = script(tmp_path / "program", f'touch "{canary}"\nexit 1\n')
    hostile = HostileRepository(folder=folder, program=program, canary=canary, home=home, asking=asking)
    hostile.write("uv.lock", "version = 1\n")
    hostile.write("data.bin", "one\n")
    hostile.write("sub/uv.lock")
    checkout.repository(folder)
    hostile.write("data.bin", "two\n")
    return hostile


def script(path: Path, text: str) -> Path:
    """A shell script."""
    path.write_text(f"#!/bin/sh\n{text}")
    path.chmod(0o755)
    return path


def every_question(hostile: HostileRepository, at: str = ".", **variables: str) -> None:
    """Ask all that this program ever asks of git; whether there is an answer does not matter."""
    git = Git(SystemRunner(), variables=hostile.variables | variables)
    folder = hostile.folder / at
    head = hostile.git("rev-parse", "HEAD") or LATER
    reads: tuple[Callable[[], object], ...] = (
        lambda: git.commit(folder),
        lambda: git.blob(folder, "HEAD", "uv.lock"),
        lambda: git.blob(folder, "HEAD", "data.bin"),
        lambda: git.blob_of_origin(folder, head, "uv.lock"),
        lambda: git.blob_of_origin(folder, LATER, "uv.lock"),
        lambda: git.provenance(folder, head),
        lambda: git.files_below(folder, ("*uv.lock",)),
        lambda: git.top(folder),
        lambda: git.patch(folder, Path("uv.lock"), Path("data.bin")),
        lambda: git.last_change(folder / "uv.lock"),
        lambda: git.last_change(folder / "data.bin"),
        git.version,
    )
    for read in reads:
        with contextlib.suppress(StepError):
            read()


# What is planted, and the plain command that steps on it.


def lookalike(hostile: HostileRepository) -> Callable[[], object]:
    """A folder of plain files that looks like a bare repository, committed and cloned."""
    shutil.copytree(hostile.folder / ".git" / "objects", hostile.folder / "sub" / "objects")
    hostile.write("sub/refs/heads/keep")
    hostile.write("sub/HEAD", hostile.git("rev-parse", "HEAD") + "\n")
    core = f"repositoryformatversion = 0\nbare = false\nworktree = ..\nfsmonitor = {hostile.program}\n"
    hostile.write("sub/config", f"[core]\n{core}")
    checkout.commit(hostile.folder)
    assert "sub/HEAD" in hostile.git("ls-files")
    return lambda: hostile.git("status", at="sub")


def fsmonitor(hostile: HostileRepository) -> Callable[[], object]:
    """What tells git which files changed."""
    hostile.config("core.fsmonitor", str(hostile.program))
    return lambda: hostile.git("status")


def refresh(hostile: HostileRepository) -> None:
    """Write the index, for it holds the time of a file."""
    os.utime(hostile.folder / "uv.lock", (1, 1))
    hostile.git("update-index", "--refresh")


def hooks_path(hostile: HostileRepository) -> Callable[[], object]:
    """A hook of a folder in the checkout, which runs when the index is refreshed."""
    hostile.write("hooks/keep")
    shutil.copy(hostile.program, hostile.folder / "hooks" / "post-index-change")
    hostile.config("core.hooksPath", "hooks")
    return lambda: refresh(hostile)


def hook(hostile: HostileRepository) -> Callable[[], object]:
    """A hook where hooks are."""
    hooks = hostile.folder / ".git" / "hooks"
    hooks.mkdir(exist_ok=True)
    shutil.copy(hostile.program, hooks / "post-index-change")
    return lambda: refresh(hostile)


def clean_filter(hostile: HostileRepository, *, name: str = "x", kind: str = "clean") -> Callable[[], object]:
    """A filter that the files of the checkout ask for."""
    hostile.config(f"filter.{name}.{kind}", str(hostile.program), f"filter.{name}.required", "true")
    hostile.write(".gitattributes", f"* filter={name}\n")
    return lambda: hostile.git("diff", "--stat")


def filter_process(hostile: HostileRepository) -> Callable[[], object]:
    """A filter that goes on running."""
    return clean_filter(hostile, kind="process")


def filter_with_a_sign(hostile: HostileRepository) -> Callable[[], object]:
    """A filter whose name cannot be set by `-c`."""
    return clean_filter(hostile, name="x=y")


def filter_of_a_hidden_file(hostile: HostileRepository) -> Callable[[], object]:
    """A filter of a file that git was told not to look at, which is therefore digested by us."""
    hostile.git("update-index", "--assume-unchanged", "data.bin")
    hostile.config("filter.x.clean", str(hostile.program))
    hostile.write(".gitattributes", "data.bin filter=x\n")
    return lambda: hostile.git("hash-object", "data.bin")


def filter_over_the_users(hostile: HostileRepository) -> Callable[[], object]:
    """Another program for a filter that the user has."""
    hostile.config("filter.lfs.clean", "cat", "filter.lfs.required", "true", flags=("--global",))
    return clean_filter(hostile, name="lfs")


def lfs_extension(hostile: HostileRepository) -> Callable[[], object]:
    """A program that git-lfs would start; a stand-in of git-lfs starts it as the real one does."""
    start = 'sh -c "$(git config --get-regexp "^lfs.extension.*clean" | cut -d " " -f 2-)"'
    script(hostile.home / "git-lfs", f"{start}\n")
    hostile.config("filter.lfs.clean", f"{hostile.home}/git-lfs clean -- %f", flags=("--global",))
    hostile.config("lfs.extension.x.clean", str(hostile.program))
    hostile.write(".gitattributes", "* filter=lfs\n")
    return lambda: hostile.git("diff", "--stat")


def external_diff(hostile: HostileRepository) -> Callable[[], object]:
    """What shows differences."""
    hostile.config("diff.external", str(hostile.program))
    return lambda: hostile.git("diff")


def diff_driver(hostile: HostileRepository) -> Callable[[], object]:
    """What shows differences of certain files."""
    hostile.config("diff.x.command", str(hostile.program))
    hostile.write(".gitattributes", "* diff=x\n")
    return lambda: hostile.git("diff")


def textconv(hostile: HostileRepository) -> Callable[[], object]:
    """What makes text of certain files."""
    hostile.config("diff.x.textconv", str(hostile.program))
    hostile.write(".gitattributes", "* diff=x\n")
    return lambda: hostile.git("diff")


def signature(hostile: HostileRepository) -> Callable[[], object]:
    """What checks the signature of a commit that is shown."""
    head, _, message = hostile.git("cat-file", "commit", "HEAD").partition("\n\n")
    signed = f"{head}\ngpgsig -----BEGIN PGP SIGNATURE-----\n \n x\n -----END PGP SIGNATURE-----\n\n{message}\n"
    raw = hostile.write("../raw", signed)
    hostile.git("reset", "--soft", hostile.git("hash-object", "-t", "commit", "-w", str(raw)))
    hostile.config("log.showSignature", "true", "gpg.program", str(hostile.program))
    return lambda: hostile.git("show", "--no-patch")


def pager(hostile: HostileRepository) -> Callable[[], object]:
    """What shows long answers on a terminal."""
    hostile.config("core.pager", str(hostile.program))
    return lambda: hostile.terminal("log")


def editor(hostile: HostileRepository) -> Callable[[], object]:
    """What a message is written with."""
    hostile.config("core.editor", str(hostile.program))
    return lambda: hostile.git("commit", "--amend")


def alternate_refs(hostile: HostileRepository) -> Callable[[], object]:
    """What tells the tips of a repository whose objects are borrowed, in a fetch."""
    other = hostile.folder.parent / "other"
    shutil.copytree(hostile.folder, other)
    hostile.write(".git/objects/info/alternates", f"{other}/.git/objects\n")
    hostile.config("core.alternateRefsCommand", str(hostile.program), "remote.origin.url", str(other))
    checkout.git(other, "commit", "--quiet", "--allow-empty", "--message=later")
    return lambda: hostile.git("fetch", "origin")


def included(hostile: HostileRepository) -> Callable[[], object]:
    """A file of settings in the tree."""
    hostile.write("settings", f"[core]\nfsmonitor = {hostile.program}\n")
    hostile.config("include.path", "../settings")
    return lambda: hostile.git("status")


def included_if(hostile: HostileRepository) -> Callable[[], object]:
    """A file of settings in the tree, under a condition."""
    hostile.write("settings", f'[filter "x"]\nclean = {hostile.program}\n')
    hostile.write(".gitattributes", "* filter=x\n")
    hostile.config("includeIf.onbranch:main.path", "../settings")
    return lambda: hostile.git("diff", "--stat")


def worktree_settings(hostile: HostileRepository) -> Callable[[], object]:
    """Settings of one work tree."""
    hostile.config("extensions.worktreeConfig", "true")
    hostile.write(".git/config.worktree", f'[filter "x"]\nclean = {hostile.program}\n')
    hostile.write(".gitattributes", "* filter=x\n")
    return lambda: hostile.git("diff", "--stat")


def embedded(hostile: HostileRepository) -> Callable[[], object]:
    """A repository that was unpacked inside the checkout."""
    inner = hostile.folder / "models"
    shutil.copytree(hostile.folder, hostile.folder.parent / "inner")
    (hostile.folder.parent / "inner").rename(inner)
    hostile.git("config", "core.fsmonitor", str(hostile.program), at="models")
    return lambda: hostile.git("status", at="models")


def embedded_with_a_filter(hostile: HostileRepository) -> Callable[[], object]:
    """The same, with a filter of its own."""
    embedded(hostile)
    hostile.git("config", "--unset", "core.fsmonitor", at="models")
    hostile.git("config", "filter.x.clean", str(hostile.program), at="models")
    hostile.write("models/.gitattributes", "* filter=x\n")
    return lambda: hostile.git("diff", "--stat", at="models")


def pointer(hostile: HostileRepository) -> Callable[[], object]:
    """A `.git` that is a file, which leads to a folder that was committed."""
    shutil.copytree(hostile.folder / ".git", hostile.folder / "payload")
    hostile.write("payload/config", f"[core]\nfsmonitor = {hostile.program}\n")
    hostile.write("models/.git", "gitdir: ../payload\n")
    return lambda: hostile.git("status", at="models")


def submodule(hostile: HostileRepository) -> Callable[[], object]:
    """A submodule whose own settings name a program: `git status` above it enters it."""
    other = hostile.folder.parent / "other"
    shutil.copytree(hostile.folder, other)
    hostile.git("-c", "protocol.file.allow=always", "submodule", "add", str(other), "models")
    hostile.git("commit", "--quiet", "--message=submodule")
    hostile.git("config", "core.fsmonitor", str(hostile.program), at="models")
    return lambda: hostile.git("status")


def submodule_filter(hostile: HostileRepository) -> Callable[[], object]:
    """A submodule whose own settings name a filter."""
    submodule(hostile)
    hostile.git("config", "--unset", "core.fsmonitor", at="models")
    hostile.git("config", "filter.x.clean", str(hostile.program), at="models")
    hostile.write("models/.gitattributes", "* filter=x\n")
    os.utime(hostile.folder / "models" / "uv.lock", (1, 1))
    return lambda: hostile.git("status")


def ssh_command(hostile: HostileRepository) -> Callable[[], object]:
    """What reaches another machine."""
    hostile.config("core.sshCommand", str(hostile.program), "remote.origin.url", "ssh://git@127.0.0.1:9/x.git")
    return lambda: hostile.git("fetch", "origin")


def git_proxy(hostile: HostileRepository) -> Callable[[], object]:
    """What reaches another machine by git's own protocol."""
    hostile.config("core.gitProxy", str(hostile.program), "remote.origin.url", "git://127.0.0.1:9/x.git")
    return lambda: hostile.git("fetch", "origin")


def external_transport(hostile: HostileRepository) -> Callable[[], object]:
    """An origin that is a program."""
    hostile.config("protocol.ext.allow", "always", "remote.origin.url", f"ext::{hostile.program}")
    return lambda: hostile.git("fetch", "origin")


def replaced_origin(hostile: HostileRepository) -> Callable[[], object]:
    """An origin that becomes a program."""
    hostile.config("protocol.ext.allow", "always", "remote.origin.url", "https://127.0.0.1/x")
    hostile.config(f"url.ext::{hostile.program} .insteadOf", "https://127.0.0.1/")
    return lambda: hostile.git("fetch", "origin")


def upload_pack(hostile: HostileRepository) -> Callable[[], object]:
    """What answers a fetch, on the other side, which is here."""
    hostile.config("remote.origin.url", str(hostile.folder), "remote.origin.uploadpack", str(hostile.program))
    return lambda: hostile.git("fetch", "origin")


def transport_helper(hostile: HostileRepository) -> Callable[[], object]:
    """A helper by its name: what is called `git-remote-NAME` on PATH, or `ext`."""
    hostile.config("protocol.ext.allow", "always")
    hostile.config("remote.origin.url", str(hostile.program), "remote.origin.vcs", "ext")
    return lambda: hostile.git("fetch", "origin")


def credential_helper(hostile: HostileRepository) -> Callable[[], object]:
    """What knows passwords."""
    hostile.config("credential.helper", str(hostile.program), "remote.origin.url", hostile.asking.address)
    return lambda: hostile.git("fetch", "origin")


def credential_helper_of_a_server(hostile: HostileRepository) -> Callable[[], object]:
    """What knows the passwords of one server."""
    server = hostile.asking.address.removesuffix("/x.git")
    hostile.config(f"credential.{server}.helper", f"!{hostile.program}", "remote.origin.url", hostile.asking.address)
    return lambda: hostile.git("fetch", "origin")


def ask_pass(hostile: HostileRepository) -> Callable[[], object]:
    """What asks for a password."""
    hostile.config("core.askPass", str(hostile.program), "remote.origin.url", hostile.asking.address)
    return lambda: hostile.git("fetch", "origin")


def lazy_fetch(hostile: HostileRepository) -> Callable[[], object]:
    """An object that a partial clone lacks, so that git asks its origin by itself."""
    blob = hostile.git("rev-parse", "HEAD:data.bin")
    hostile.config("extensions.partialClone", "origin", "remote.origin.promisor", "true")
    hostile.config("remote.origin.url", str(hostile.folder), "remote.origin.uploadpack", str(hostile.program))
    (hostile.folder / ".git" / "objects" / blob[:2] / blob[2:]).unlink()
    return lambda: hostile.git("show", "HEAD:data.bin")


PLANTS = (
    lookalike, fsmonitor, hooks_path, hook, clean_filter, filter_process, filter_with_a_sign, filter_of_a_hidden_file,
    filter_over_the_users, lfs_extension, external_diff, diff_driver, textconv, signature, pager, editor,
    alternate_refs, included, included_if, worktree_settings, embedded, embedded_with_a_filter, pointer, submodule,
    submodule_filter, ssh_command, git_proxy, external_transport, replaced_origin, upload_pack, transport_helper,
    credential_helper, credential_helper_of_a_server, ask_pass, lazy_fetch,
)  # fmt: skip


@pytest.mark.core_variants(12)
@pytest.mark.parametrize("plant", PLANTS)
def test_no_program_that_a_checkout_names_is_run(
    hostile: HostileRepository, plant: Callable[[HostileRepository], Callable[[], object]]
) -> None:
    """
    Whatever names a program, in the tree or in a repository's own settings: plain git starts it, this program does not.
    """
    step_on_it = plant(hostile)
    hostile.ran()

    for at in (".", "sub", "models"):
        if (hostile.folder / at).is_dir():
            every_question(hostile, at)
    ours = hostile.ran()
    step_on_it()
    plain = hostile.ran()

    assert (False, True) == (ours, plain)


@pytest.mark.parametrize("word", ["--upload-pack={}", "--output={}", "-O{}"])
def test_a_commit_that_a_server_names_is_no_option(hostile: HostileRepository, word: str) -> None:
    """
    A record or a tag says which commit a model is of; whoever wrote it neither runs a program nor writes a file.
    """
    hostile.config("remote.origin.url", str(hostile.folder))
    git = Git(SystemRunner(), variables=hostile.variables)
    commit = word.format(hostile.program if "upload" in word else hostile.canary)

    answers = (
        git.blob(hostile.folder, commit, "uv.lock"),
        git.blob_of_origin(hostile.folder, commit, "uv.lock"),
        git.provenance(hostile.folder, commit),
    )

    assert ((None, None, ("", str(hostile.folder))), False) == (answers, hostile.ran())


def test_a_git_of_the_checkout_is_not_taken_for_git(hostile: HostileRepository) -> None:
    """
    A PATH that has an empty part, as many have, means the folder where a program is started.
    """
    shutil.copy(hostile.program, hostile.folder / "git")
    path = f":{hostile.variables['PATH']}:.:"

    every_question(hostile, PATH=path)
    ours = hostile.ran()
    subprocess.run(["sh", "-c", "git status"], cwd=hostile.folder, env=hostile.variables | {"PATH": path}, check=False)

    assert (False, True) == (ours, hostile.ran())


def test_a_folder_that_looks_like_a_repository_has_no_commit(hostile: HostileRepository) -> None:
    """
    It is named, and why; what is printed ends it. No git is started there, whatever it knows of `safe.bareRepository`.
    """
    lookalike(hostile)
    git = Git(SystemRunner(), variables=hostile.variables)

    with pytest.raises(NotCommitted) as caught:
        git.commit(hostile.folder / "sub")
    unknown = git.last_change(hostile.folder / "sub" / "uv.lock")
    subprocess.run(["sh", "-c", caught.value.fix], check=True)
    after = git.commit(hostile.folder / "sub")

    assert f"git does not run in `{hostile.folder / 'sub'}`" == caught.value.what
    assert History.UNKNOWN is unknown.history
    assert "cannot use bare repository" in unknown.reason
    assert ("sub", False) == (after.project, hostile.ran())


def test_a_work_tree_elsewhere_is_not_read(hostile: HostileRepository) -> None:
    """
    A repository that says its files lie in another folder, such as the user's home, is asked nothing about them.
    """
    hostile.config("core.worktree", str(hostile.home))
    git = Git(SystemRunner(), variables=hostile.variables)

    with pytest.raises(ToolFailed) as caught:
        git.commit(hostile.folder)

    assert (f"its `core.worktree` is `{hostile.home}`", None) == (caught.value.why, git.top(hostile.folder))


def tools_of(hostile: HostileRepository, folder: Path) -> contextlib.AbstractContextManager[LockTools]:
    """Real tools for the user in a folder."""
    variables = hostile.variables | {"UV_OFFLINE": "1"}
    return locktools(Host.of(variables, folder=folder, python=Path(sys.executable)), console=terminal())


def test_check_lock_runs_no_program_of_a_lookalike(hostile: HostileRepository) -> None:
    """
    The whole step, with real uv, for a project whose own folder looks like a repository: fresh, and nothing was run.
    """
    folder = projects.project(hostile.folder / "sub", more="[tool.mlflow-uv.policy]\nmaximum-age-days = 10000\n")
    (folder / "uv.lock").unlink()
    projects.lock(folder)
    step_on_it = lookalike(hostile)
    hostile.ran()

    with tools_of(hostile, folder) as tools:
        report = check_lock.run(check_lock.Inputs(project=folder), tools)
    ours = hostile.ran()
    step_on_it()

    assert (LockState.FRESH, False, True) == (report.outputs.verdict, ours, hostile.ran())


BACKEND = """
import os, subprocess
def get_requires_for_build_wheel(config=None): return []
def prepare_metadata_for_build_wheel(folder, config=None):
    subprocess.run(["git", "status"], check=False)
    os.mkdir(os.path.join(folder, "wine-1.dist-info"))
    with open(os.path.join(folder, "wine-1.dist-info", "METADATA"), "w") as file:
        file.write("Metadata-Version: 2.2\\nName: wine\\nVersion: 1\\n")
    return "wine-1.dist-info"
get_requires_for_build_editable = get_requires_for_build_wheel
prepare_metadata_for_build_editable = prepare_metadata_for_build_wheel
def build_wheel(folder, config=None, metadata=None): raise SystemExit("metadata is enough")
build_editable = build_wheel
"""


@pytest.mark.parametrize("plant", [fsmonitor, lookalike])
def test_a_git_that_a_build_starts_is_guarded_too(
    hostile: HostileRepository, plant: Callable[[HostileRepository], Callable[[], object]]
) -> None:
    """
    A build backend that asks git for the version, as many do, starts no program of the checkout below uv.
    """
    build = '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n'
    hostile.write("sub/backend.py", BACKEND)
    table = f'[project]\nname = "wine"\nrequires-python = ">=3.9"\ndynamic = ["version", "dependencies"]\n{build}'
    hostile.write("sub/pyproject.toml", table)
    hostile.write("sub/uv.lock", "version = 1\nrequires-python = '>=3.9'\n")
    plant(hostile)
    hostile.ran()
    folder = hostile.folder / "sub"

    with tools_of(hostile, folder) as tools:
        request = LockRequest(respect_env=False, offline=True)
        verdict = tools.uv.lock_state(read_project(folder), request)
    ours = hostile.ran()
    plain = ["uv", "lock", "--check", "--offline", "--no-cache"]
    subprocess.run(plain, cwd=folder, env=hostile.variables, check=False, capture_output=True)

    assert (LockState.STALE, False, True) == (verdict.state, ours, hostile.ran())


# What a user's own settings do goes on.


def test_a_filter_of_the_users_own_settings_is_run(hostile: HostileRepository) -> None:
    """
    Git LFS is one: a file that it stands for is not taken for a change. One that the repository names changes nothing.
    """
    hostile.config("filter.x.clean", "tr a-z A-Z", "filter.x.required", "true", flags=("--global",))
    hostile.write(".gitattributes", "*.txt filter=x\n")
    hostile.write("a.txt", "one\n")
    hostile.write("data.bin", "one\n")
    checkout.git(hostile.folder, "-c", "filter.x.clean=tr a-z A-Z", "add", "--all")
    checkout.git(hostile.folder, "commit", "--quiet", "--message=x")
    os.utime(hostile.folder / "a.txt", (1, 1))
    git = Git(SystemRunner(), variables=hostile.variables)

    before = git.commit(hostile.folder).dirty
    hostile.config("filter.x.clean", str(hostile.program))
    after = git.commit(hostile.folder).dirty

    assert ("ONE", None, None, False) == (hostile.git("show", "HEAD:a.txt"), before, after, hostile.ran())


def test_git_lfs_is_run_where_the_repository_names_it(hostile: HostileRepository) -> None:
    """
    `git lfs install --local`, as the checkout action calls it, writes a repository's own settings.
    """
    script(hostile.home / "git-lfs", 'test "$1" = clean && tr a-z A-Z\n')
    words = ("filter.lfs.clean", "git-lfs clean -- %f", "filter.lfs.smudge", "git-lfs smudge -- %f")
    hostile.config(*words, "filter.lfs.required", "true")
    hostile.write(".gitattributes", "*.txt filter=lfs\n")
    hostile.write("a.txt", "one\n")
    hostile.write("data.bin", "one\n")
    path = f"{hostile.home}:{hostile.variables['PATH']}"
    command = ["git", *checkout.IDENTITY, "commit", "--quiet", "--all", "--message=x"]
    plot_variables = hostile.variables | {"PATH": path}
    subprocess.run(["git", "add", "--all"], cwd=hostile.folder, env=plot_variables, check=True)
    subprocess.run(command, cwd=hostile.folder, env=plot_variables, check=True)
    os.utime(hostile.folder / "a.txt", (1, 1))

    commit = Git(SystemRunner(), variables=plot_variables).commit(hostile.folder)

    assert ("ONE", None) == (hostile.git("show", "HEAD:a.txt"), commit.dirty)


def test_a_filter_of_the_repository_makes_no_difference_look_like_none(hostile: HostileRepository) -> None:
    """
    A filter that turns every file into what was committed would hide a change; it is not run, and the change is seen.
    """
    hostile.config("filter.x.clean", "echo one")
    hostile.write(".git/info/attributes", "data.bin filter=x\n")

    commit = Git(SystemRunner(), variables=hostile.variables).commit(hostile.folder)
    plain = hostile.git("status", "--porcelain")

    assert ("", True) == (plain, commit.changed)


def test_the_header_that_a_checkout_left_reaches_origin(hostile: HostileRepository) -> None:
    """
    The checkout action leaves its token as a header: in the repository's settings, or in a file that they include.
    """
    header = f"AUTHORIZATION: basic {base64.b64encode(b'x-access-token:canary').decode()}"
    hostile.config("remote.origin.url", hostile.asking.address)
    hostile.write("../token", f'[http "{hostile.asking.address}"]\nextraheader = {header}\n')
    hostile.config(f"includeIf.gitdir:{hostile.folder}/.git.path", str(hostile.folder.parent / "token"))

    found = Git(SystemRunner(), variables=hostile.variables).blob_of_origin(hostile.folder, LATER, "uv.lock")

    assert (None, header.partition(": ")[2]) == (found, hostile.asking.given[0])


def test_the_users_own_credential_helper_is_asked(hostile: HostileRepository) -> None:
    """
    Where a user keeps passwords is not a matter of the checkout.
    """
    helper = script(hostile.home / "helper", 'test "$1" = get && echo username=me && echo password=canary\n')
    hostile.config("credential.helper", str(helper), flags=("--global",))
    hostile.config("remote.origin.url", hostile.asking.address)

    Git(SystemRunner(), variables=hostile.variables).blob_of_origin(hostile.folder, LATER, "uv.lock")

    assert f"Basic {base64.b64encode(b'me:canary').decode()}" in hostile.asking.given


def test_settings_that_the_caller_hands_over_by_variables_hold(hostile: HostileRepository, tmp_path: Path) -> None:
    """
    A job that trusts a folder, or leads to a mirror, by GIT_CONFIG_COUNT is heard; it does not lift a guard.
    """
    mirror = tmp_path / "mirror"
    shutil.copytree(hostile.folder, mirror)
    later = checkout.commit(mirror)
    hostile.config("remote.origin.url", "https://nowhere.invalid/x", "core.fsmonitor", str(hostile.program))
    git_variables = {
        "GIT_CONFIG_COUNT": "2",
        "GIT_CONFIG_KEY_0": f"url.{tmp_path}/mirror.insteadOf",
        "GIT_CONFIG_VALUE_0": "https://nowhere.invalid/x",
        "GIT_CONFIG_KEY_1": "core.fsmonitor",
        "GIT_CONFIG_VALUE_1": str(hostile.program),
    }

    found = Git(SystemRunner(), variables=hostile.variables | git_variables).blob_of_origin(
        hostile.folder, later, "data.bin"
    )

    assert (b"two\n", False) == (found, hostile.ran())
