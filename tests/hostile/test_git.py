"""
What files of a checkout can make git run, and that none of it runs when this program asks git.

Each plant is a program that leaves a canary. Plain git steps on it, so that a test here can fail; no question that this
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
from mlflow_uv.tools.uv.uv import LockQuestion
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
        """Answer as GitHub does to a stranger."""
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
class Plot:
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
def plot(tmp_path: Path, asking: Asking) -> Plot:
    """A checkout with a commit, in which a file was changed to one of the same size."""
    folder, canary, home = tmp_path / "checkout", tmp_path / "canary", tmp_path / "home"
    folder.mkdir()
    home.mkdir()
    program = script(tmp_path / "program", f'touch "{canary}"\nexit 1\n')
    plot = Plot(folder=folder, program=program, canary=canary, home=home, asking=asking)
    plot.write("uv.lock", "version = 1\n")
    plot.write("data.bin", "one\n")
    plot.write("sub/uv.lock")
    checkout.repository(folder)
    plot.write("data.bin", "two\n")
    return plot


def script(path: Path, text: str) -> Path:
    """A shell script."""
    path.write_text(f"#!/bin/sh\n{text}")
    path.chmod(0o755)
    return path


def every_question(plot: Plot, at: str = ".", **variables: str) -> None:
    """Ask all that this program ever asks of git; whether there is an answer does not matter."""
    git = Git(SystemRunner(), variables=plot.variables | variables)
    folder = plot.folder / at
    head = plot.git("rev-parse", "HEAD") or LATER
    questions: tuple[Callable[[], object], ...] = (
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
    for question in questions:
        with contextlib.suppress(StepError):
            question()


# What is planted, and the plain command that steps on it.


def lookalike(plot: Plot) -> Callable[[], object]:
    """A folder of plain files that looks like a bare repository, committed and cloned."""
    shutil.copytree(plot.folder / ".git" / "objects", plot.folder / "sub" / "objects")
    plot.write("sub/refs/heads/keep")
    plot.write("sub/HEAD", plot.git("rev-parse", "HEAD") + "\n")
    core = f"repositoryformatversion = 0\nbare = false\nworktree = ..\nfsmonitor = {plot.program}\n"
    plot.write("sub/config", f"[core]\n{core}")
    checkout.commit(plot.folder)
    assert "sub/HEAD" in plot.git("ls-files")
    return lambda: plot.git("status", at="sub")


def fsmonitor(plot: Plot) -> Callable[[], object]:
    """What tells git which files changed."""
    plot.config("core.fsmonitor", str(plot.program))
    return lambda: plot.git("status")


def refresh(plot: Plot) -> None:
    """Write the index, for it holds the time of a file."""
    os.utime(plot.folder / "uv.lock", (1, 1))
    plot.git("update-index", "--refresh")


def hooks_path(plot: Plot) -> Callable[[], object]:
    """A hook of a folder in the checkout, which runs when the index is refreshed."""
    plot.write("hooks/keep")
    shutil.copy(plot.program, plot.folder / "hooks" / "post-index-change")
    plot.config("core.hooksPath", "hooks")
    return lambda: refresh(plot)


def hook(plot: Plot) -> Callable[[], object]:
    """A hook where hooks are."""
    hooks = plot.folder / ".git" / "hooks"
    hooks.mkdir(exist_ok=True)
    shutil.copy(plot.program, hooks / "post-index-change")
    return lambda: refresh(plot)


def clean_filter(plot: Plot, *, name: str = "x", kind: str = "clean") -> Callable[[], object]:
    """A filter that the files of the checkout ask for."""
    plot.config(f"filter.{name}.{kind}", str(plot.program), f"filter.{name}.required", "true")
    plot.write(".gitattributes", f"* filter={name}\n")
    return lambda: plot.git("diff", "--stat")


def filter_process(plot: Plot) -> Callable[[], object]:
    """A filter that goes on running."""
    return clean_filter(plot, kind="process")


def filter_with_a_sign(plot: Plot) -> Callable[[], object]:
    """A filter whose name cannot be set by `-c`."""
    return clean_filter(plot, name="x=y")


def filter_of_a_hidden_file(plot: Plot) -> Callable[[], object]:
    """A filter of a file that git was told not to look at, which is therefore digested by us."""
    plot.git("update-index", "--assume-unchanged", "data.bin")
    plot.config("filter.x.clean", str(plot.program))
    plot.write(".gitattributes", "data.bin filter=x\n")
    return lambda: plot.git("hash-object", "data.bin")


def filter_over_the_users(plot: Plot) -> Callable[[], object]:
    """Another program for a filter that the user has."""
    plot.config("filter.lfs.clean", "cat", "filter.lfs.required", "true", flags=("--global",))
    return clean_filter(plot, name="lfs")


def lfs_extension(plot: Plot) -> Callable[[], object]:
    """A program that git-lfs would start; a stand-in of git-lfs starts it as the real one does."""
    start = 'sh -c "$(git config --get-regexp "^lfs.extension.*clean" | cut -d " " -f 2-)"'
    script(plot.home / "git-lfs", f"{start}\n")
    plot.config("filter.lfs.clean", f"{plot.home}/git-lfs clean -- %f", flags=("--global",))
    plot.config("lfs.extension.x.clean", str(plot.program))
    plot.write(".gitattributes", "* filter=lfs\n")
    return lambda: plot.git("diff", "--stat")


def external_diff(plot: Plot) -> Callable[[], object]:
    """What shows differences."""
    plot.config("diff.external", str(plot.program))
    return lambda: plot.git("diff")


def diff_driver(plot: Plot) -> Callable[[], object]:
    """What shows differences of certain files."""
    plot.config("diff.x.command", str(plot.program))
    plot.write(".gitattributes", "* diff=x\n")
    return lambda: plot.git("diff")


def textconv(plot: Plot) -> Callable[[], object]:
    """What makes text of certain files."""
    plot.config("diff.x.textconv", str(plot.program))
    plot.write(".gitattributes", "* diff=x\n")
    return lambda: plot.git("diff")


def signature(plot: Plot) -> Callable[[], object]:
    """What checks the signature of a commit that is shown."""
    head, _, message = plot.git("cat-file", "commit", "HEAD").partition("\n\n")
    signed = f"{head}\ngpgsig -----BEGIN PGP SIGNATURE-----\n \n x\n -----END PGP SIGNATURE-----\n\n{message}\n"
    raw = plot.write("../raw", signed)
    plot.git("reset", "--soft", plot.git("hash-object", "-t", "commit", "-w", str(raw)))
    plot.config("log.showSignature", "true", "gpg.program", str(plot.program))
    return lambda: plot.git("show", "--no-patch")


def pager(plot: Plot) -> Callable[[], object]:
    """What shows long answers on a terminal."""
    plot.config("core.pager", str(plot.program))
    return lambda: plot.terminal("log")


def editor(plot: Plot) -> Callable[[], object]:
    """What a message is written with."""
    plot.config("core.editor", str(plot.program))
    return lambda: plot.git("commit", "--amend")


def alternate_refs(plot: Plot) -> Callable[[], object]:
    """What tells the tips of a repository whose objects are borrowed, in a fetch."""
    other = plot.folder.parent / "other"
    shutil.copytree(plot.folder, other)
    plot.write(".git/objects/info/alternates", f"{other}/.git/objects\n")
    plot.config("core.alternateRefsCommand", str(plot.program), "remote.origin.url", str(other))
    checkout.git(other, "commit", "--quiet", "--allow-empty", "--message=later")
    return lambda: plot.git("fetch", "origin")


def included(plot: Plot) -> Callable[[], object]:
    """A file of settings in the tree."""
    plot.write("settings", f"[core]\nfsmonitor = {plot.program}\n")
    plot.config("include.path", "../settings")
    return lambda: plot.git("status")


def included_if(plot: Plot) -> Callable[[], object]:
    """A file of settings in the tree, under a condition."""
    plot.write("settings", f'[filter "x"]\nclean = {plot.program}\n')
    plot.write(".gitattributes", "* filter=x\n")
    plot.config("includeIf.onbranch:main.path", "../settings")
    return lambda: plot.git("diff", "--stat")


def worktree_settings(plot: Plot) -> Callable[[], object]:
    """Settings of one work tree."""
    plot.config("extensions.worktreeConfig", "true")
    plot.write(".git/config.worktree", f'[filter "x"]\nclean = {plot.program}\n')
    plot.write(".gitattributes", "* filter=x\n")
    return lambda: plot.git("diff", "--stat")


def embedded(plot: Plot) -> Callable[[], object]:
    """A repository that was unpacked inside the checkout."""
    inner = plot.folder / "models"
    shutil.copytree(plot.folder, plot.folder.parent / "inner")
    (plot.folder.parent / "inner").rename(inner)
    plot.git("config", "core.fsmonitor", str(plot.program), at="models")
    return lambda: plot.git("status", at="models")


def embedded_with_a_filter(plot: Plot) -> Callable[[], object]:
    """The same, with a filter of its own."""
    embedded(plot)
    plot.git("config", "--unset", "core.fsmonitor", at="models")
    plot.git("config", "filter.x.clean", str(plot.program), at="models")
    plot.write("models/.gitattributes", "* filter=x\n")
    return lambda: plot.git("diff", "--stat", at="models")


def pointer(plot: Plot) -> Callable[[], object]:
    """A `.git` that is a file, which leads to a folder that was committed."""
    shutil.copytree(plot.folder / ".git", plot.folder / "payload")
    plot.write("payload/config", f"[core]\nfsmonitor = {plot.program}\n")
    plot.write("models/.git", "gitdir: ../payload\n")
    return lambda: plot.git("status", at="models")


def submodule(plot: Plot) -> Callable[[], object]:
    """A submodule whose own settings name a program: `git status` above it enters it."""
    other = plot.folder.parent / "other"
    shutil.copytree(plot.folder, other)
    plot.git("-c", "protocol.file.allow=always", "submodule", "add", str(other), "models")
    plot.git("commit", "--quiet", "--message=submodule")
    plot.git("config", "core.fsmonitor", str(plot.program), at="models")
    return lambda: plot.git("status")


def submodule_filter(plot: Plot) -> Callable[[], object]:
    """A submodule whose own settings name a filter."""
    submodule(plot)
    plot.git("config", "--unset", "core.fsmonitor", at="models")
    plot.git("config", "filter.x.clean", str(plot.program), at="models")
    plot.write("models/.gitattributes", "* filter=x\n")
    os.utime(plot.folder / "models" / "uv.lock", (1, 1))
    return lambda: plot.git("status")


def ssh_command(plot: Plot) -> Callable[[], object]:
    """What reaches another machine."""
    plot.config("core.sshCommand", str(plot.program), "remote.origin.url", "ssh://git@127.0.0.1:9/x.git")
    return lambda: plot.git("fetch", "origin")


def git_proxy(plot: Plot) -> Callable[[], object]:
    """What reaches another machine by git's own protocol."""
    plot.config("core.gitProxy", str(plot.program), "remote.origin.url", "git://127.0.0.1:9/x.git")
    return lambda: plot.git("fetch", "origin")


def external_transport(plot: Plot) -> Callable[[], object]:
    """An origin that is a program."""
    plot.config("protocol.ext.allow", "always", "remote.origin.url", f"ext::{plot.program}")
    return lambda: plot.git("fetch", "origin")


def replaced_origin(plot: Plot) -> Callable[[], object]:
    """An origin that becomes a program."""
    plot.config("protocol.ext.allow", "always", "remote.origin.url", "https://127.0.0.1/x")
    plot.config(f"url.ext::{plot.program} .insteadOf", "https://127.0.0.1/")
    return lambda: plot.git("fetch", "origin")


def upload_pack(plot: Plot) -> Callable[[], object]:
    """What answers a fetch, on the other side, which is here."""
    plot.config("remote.origin.url", str(plot.folder), "remote.origin.uploadpack", str(plot.program))
    return lambda: plot.git("fetch", "origin")


def transport_helper(plot: Plot) -> Callable[[], object]:
    """A helper by its name: what is called `git-remote-NAME` on PATH, or `ext`."""
    plot.config("protocol.ext.allow", "always")
    plot.config("remote.origin.url", str(plot.program), "remote.origin.vcs", "ext")
    return lambda: plot.git("fetch", "origin")


def credential_helper(plot: Plot) -> Callable[[], object]:
    """What knows passwords."""
    plot.config("credential.helper", str(plot.program), "remote.origin.url", plot.asking.address)
    return lambda: plot.git("fetch", "origin")


def credential_helper_of_a_server(plot: Plot) -> Callable[[], object]:
    """What knows the passwords of one server."""
    server = plot.asking.address.removesuffix("/x.git")
    plot.config(f"credential.{server}.helper", f"!{plot.program}", "remote.origin.url", plot.asking.address)
    return lambda: plot.git("fetch", "origin")


def ask_pass(plot: Plot) -> Callable[[], object]:
    """What asks for a password."""
    plot.config("core.askPass", str(plot.program), "remote.origin.url", plot.asking.address)
    return lambda: plot.git("fetch", "origin")


def lazy_fetch(plot: Plot) -> Callable[[], object]:
    """An object that a partial clone lacks, so that git asks its origin by itself."""
    blob = plot.git("rev-parse", "HEAD:data.bin")
    plot.config("extensions.partialClone", "origin", "remote.origin.promisor", "true")
    plot.config("remote.origin.url", str(plot.folder), "remote.origin.uploadpack", str(plot.program))
    (plot.folder / ".git" / "objects" / blob[:2] / blob[2:]).unlink()
    return lambda: plot.git("show", "HEAD:data.bin")


PLANTS = (
    lookalike, fsmonitor, hooks_path, hook, clean_filter, filter_process, filter_with_a_sign, filter_of_a_hidden_file,
    filter_over_the_users, lfs_extension, external_diff, diff_driver, textconv, signature, pager, editor,
    alternate_refs, included, included_if, worktree_settings, embedded, embedded_with_a_filter, pointer, submodule,
    submodule_filter, ssh_command, git_proxy, external_transport, replaced_origin, upload_pack, transport_helper,
    credential_helper, credential_helper_of_a_server, ask_pass, lazy_fetch,
)  # fmt: skip


@pytest.mark.parametrize("plant", PLANTS)
def test_no_program_that_a_checkout_names_is_run(plot: Plot, plant: Callable[[Plot], Callable[[], object]]) -> None:
    """
    Whatever names a program, in the tree or in a repository's own settings: plain git starts it, this program does not.
    """
    step_on_it = plant(plot)
    plot.ran()

    for at in (".", "sub", "models"):
        if (plot.folder / at).is_dir():
            every_question(plot, at)
    ours = plot.ran()
    step_on_it()
    plain = plot.ran()

    assert (False, True) == (ours, plain)


@pytest.mark.parametrize("word", ["--upload-pack={}", "--output={}", "-O{}"])
def test_a_commit_that_a_server_names_is_no_option(plot: Plot, word: str) -> None:
    """
    A record or a tag says which commit a model is of; whoever wrote it neither runs a program nor writes a file.
    """
    plot.config("remote.origin.url", str(plot.folder))
    git = Git(SystemRunner(), variables=plot.variables)
    commit = word.format(plot.program if "upload" in word else plot.canary)

    answers = (
        git.blob(plot.folder, commit, "uv.lock"),
        git.blob_of_origin(plot.folder, commit, "uv.lock"),
        git.provenance(plot.folder, commit),
    )

    assert ((None, None, ("", str(plot.folder))), False) == (answers, plot.ran())


def test_a_git_of_the_checkout_is_not_taken_for_git(plot: Plot) -> None:
    """
    A PATH that has an empty part, as many have, means the folder where a program is started.
    """
    shutil.copy(plot.program, plot.folder / "git")
    path = f":{plot.variables['PATH']}:.:"

    every_question(plot, PATH=path)
    ours = plot.ran()
    subprocess.run(["sh", "-c", "git status"], cwd=plot.folder, env=plot.variables | {"PATH": path}, check=False)

    assert (False, True) == (ours, plot.ran())


def test_a_folder_that_looks_like_a_repository_has_no_commit(plot: Plot) -> None:
    """
    It is named, and why; what is printed ends it. No git is started there, whatever it knows of `safe.bareRepository`.
    """
    lookalike(plot)
    git = Git(SystemRunner(), variables=plot.variables)

    with pytest.raises(NotCommitted) as caught:
        git.commit(plot.folder / "sub")
    unknown = git.last_change(plot.folder / "sub" / "uv.lock")
    subprocess.run(["sh", "-c", caught.value.fix], check=True)
    after = git.commit(plot.folder / "sub")

    assert f"git does not run in `{plot.folder / 'sub'}`" == caught.value.what
    assert History.UNKNOWN is unknown.history
    assert "cannot use bare repository" in unknown.reason
    assert ("sub", False) == (after.project, plot.ran())


def test_a_work_tree_elsewhere_is_not_read(plot: Plot) -> None:
    """
    A repository that says its files lie in another folder, such as the user's home, is asked nothing about them.
    """
    plot.config("core.worktree", str(plot.home))
    git = Git(SystemRunner(), variables=plot.variables)

    with pytest.raises(ToolFailed) as caught:
        git.commit(plot.folder)

    assert (f"its `core.worktree` is `{plot.home}`", None) == (caught.value.why, git.top(plot.folder))


def tools_of(plot: Plot, folder: Path) -> contextlib.AbstractContextManager[LockTools]:
    """Real tools for the user in a folder."""
    variables = plot.variables | {"UV_OFFLINE": "1"}
    return locktools(Host.of(variables, folder=folder, python=Path(sys.executable)), console=terminal())


def test_check_lock_runs_no_program_of_a_lookalike(plot: Plot) -> None:
    """
    The whole step, with real uv, for a project whose own folder looks like a repository: fresh, and nothing was run.
    """
    folder = projects.project(plot.folder / "sub", more="[tool.mlflow-uv.policy]\nmaximum-age-days = 10000\n")
    (folder / "uv.lock").unlink()
    projects.lock(folder)
    step_on_it = lookalike(plot)
    plot.ran()

    with tools_of(plot, folder) as tools:
        report = check_lock.run(check_lock.Inputs(project=folder), tools)
    ours = plot.ran()
    step_on_it()

    assert (LockState.FRESH, False, True) == (report.outputs.verdict, ours, plot.ran())


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
def test_a_git_that_a_build_starts_is_guarded_too(plot: Plot, plant: Callable[[Plot], Callable[[], object]]) -> None:
    """
    A build backend that asks git for the version, as many do, starts no program of the checkout below uv.
    """
    build = '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n'
    plot.write("sub/backend.py", BACKEND)
    table = f'[project]\nname = "wine"\nrequires-python = ">=3.9"\ndynamic = ["version", "dependencies"]\n{build}'
    plot.write("sub/pyproject.toml", table)
    plot.write("sub/uv.lock", "version = 1\nrequires-python = '>=3.9'\n")
    plant(plot)
    plot.ran()
    folder = plot.folder / "sub"

    with tools_of(plot, folder) as tools:
        question = LockQuestion(respect_env=False, offline=True)
        verdict = tools.uv.lock_state(read_project(folder), question)
    ours = plot.ran()
    plain = ["uv", "lock", "--check", "--offline", "--no-cache"]
    subprocess.run(plain, cwd=folder, env=plot.variables, check=False, capture_output=True)

    assert (LockState.STALE, False, True) == (verdict.state, ours, plot.ran())


# What a user's own settings do goes on.


def test_a_filter_of_the_users_own_settings_is_run(plot: Plot) -> None:
    """
    Git LFS is one: a file that it stands for is not taken for a change. One that the repository names changes nothing.
    """
    plot.config("filter.x.clean", "tr a-z A-Z", "filter.x.required", "true", flags=("--global",))
    plot.write(".gitattributes", "*.txt filter=x\n")
    plot.write("a.txt", "one\n")
    plot.write("data.bin", "one\n")
    checkout.git(plot.folder, "-c", "filter.x.clean=tr a-z A-Z", "add", "--all")
    checkout.git(plot.folder, "commit", "--quiet", "--message=x")
    os.utime(plot.folder / "a.txt", (1, 1))
    git = Git(SystemRunner(), variables=plot.variables)

    before = git.commit(plot.folder).dirty
    plot.config("filter.x.clean", str(plot.program))
    after = git.commit(plot.folder).dirty

    assert ("ONE", None, None, False) == (plot.git("show", "HEAD:a.txt"), before, after, plot.ran())


def test_git_lfs_is_run_where_the_repository_names_it(plot: Plot) -> None:
    """
    `git lfs install --local`, as the checkout action calls it, writes a repository's own settings.
    """
    script(plot.home / "git-lfs", 'test "$1" = clean && tr a-z A-Z\n')
    words = ("filter.lfs.clean", "git-lfs clean -- %f", "filter.lfs.smudge", "git-lfs smudge -- %f")
    plot.config(*words, "filter.lfs.required", "true")
    plot.write(".gitattributes", "*.txt filter=lfs\n")
    plot.write("a.txt", "one\n")
    plot.write("data.bin", "one\n")
    path = f"{plot.home}:{plot.variables['PATH']}"
    command = ["git", *checkout.IDENTITY, "commit", "--quiet", "--all", "--message=x"]
    plot_variables = plot.variables | {"PATH": path}
    subprocess.run(["git", "add", "--all"], cwd=plot.folder, env=plot_variables, check=True)
    subprocess.run(command, cwd=plot.folder, env=plot_variables, check=True)
    os.utime(plot.folder / "a.txt", (1, 1))

    commit = Git(SystemRunner(), variables=plot_variables).commit(plot.folder)

    assert ("ONE", None) == (plot.git("show", "HEAD:a.txt"), commit.dirty)


def test_a_filter_of_the_repository_makes_no_difference_look_like_none(plot: Plot) -> None:
    """
    A filter that turns every file into what was committed would hide a change; it is not run, and the change is seen.
    """
    plot.config("filter.x.clean", "echo one")
    plot.write(".git/info/attributes", "data.bin filter=x\n")

    commit = Git(SystemRunner(), variables=plot.variables).commit(plot.folder)
    plain = plot.git("status", "--porcelain")

    assert ("", True) == (plain, commit.changed)


def test_the_header_that_a_checkout_left_reaches_origin(plot: Plot) -> None:
    """
    The checkout action leaves its token as a header: in the repository's settings, or in a file that they include.
    """
    header = f"AUTHORIZATION: basic {base64.b64encode(b'x-access-token:canary').decode()}"
    plot.config("remote.origin.url", plot.asking.address)
    plot.write("../token", f'[http "{plot.asking.address}"]\nextraheader = {header}\n')
    plot.config(f"includeIf.gitdir:{plot.folder}/.git.path", str(plot.folder.parent / "token"))

    found = Git(SystemRunner(), variables=plot.variables).blob_of_origin(plot.folder, LATER, "uv.lock")

    assert (None, header.partition(": ")[2]) == (found, plot.asking.given[0])


def test_the_users_own_credential_helper_is_asked(plot: Plot) -> None:
    """
    Where a user keeps passwords is not a matter of the checkout.
    """
    helper = script(plot.home / "helper", 'test "$1" = get && echo username=me && echo password=canary\n')
    plot.config("credential.helper", str(helper), flags=("--global",))
    plot.config("remote.origin.url", plot.asking.address)

    Git(SystemRunner(), variables=plot.variables).blob_of_origin(plot.folder, LATER, "uv.lock")

    assert f"Basic {base64.b64encode(b'me:canary').decode()}" in plot.asking.given


def test_settings_that_the_caller_hands_over_by_variables_hold(plot: Plot, tmp_path: Path) -> None:
    """
    A job that trusts a folder, or leads to a mirror, by GIT_CONFIG_COUNT is heard; it does not lift a guard.
    """
    mirror = tmp_path / "mirror"
    shutil.copytree(plot.folder, mirror)
    later = checkout.commit(mirror)
    plot.config("remote.origin.url", "https://nowhere.invalid/x", "core.fsmonitor", str(plot.program))
    handed = {
        "GIT_CONFIG_COUNT": "2",
        "GIT_CONFIG_KEY_0": f"url.{tmp_path}/mirror.insteadOf",
        "GIT_CONFIG_VALUE_0": "https://nowhere.invalid/x",
        "GIT_CONFIG_KEY_1": "core.fsmonitor",
        "GIT_CONFIG_VALUE_1": str(plot.program),
    }

    found = Git(SystemRunner(), variables=plot.variables | handed).blob_of_origin(plot.folder, later, "data.bin")

    assert (b"two\n", False) == (found, plot.ran())
