"""Runs git so that it starts no program that a checkout names (see docs/threat-model.md)."""

import os
from collections.abc import Mapping
from pathlib import Path

from ...command.errors import ToolFailed
from ...core.security.child_environment import for_git
from ...core.security.git_guard import FLAGS, NETWORK, as_variables
from ...core.security.git_settings import Setting, filter_overrides, origin_settings, settings_in
from ...core.security.masking import mask
from ..system.process import Command, Completed, Runner
from .bare_repository import bare_repository_at
from .messages import BARE, path_of

FETCH_S = 120.0
UNATTENDED = {"GIT_TERMINAL_PROMPT": "0", "GIT_SSH_COMMAND": "ssh -o BatchMode=yes"} | NETWORK
_FETCH = (
    "-c", "gc.auto=0", "-c", "maintenance.auto=false", "fetch", "--quiet", "--no-tags", "--no-write-fetch-head",
    "--recurse-submodules=no", "--filter=blob:none", "--upload-pack=git-upload-pack",
)  # fmt: skip
_NONE: Mapping[str, str] = {}


class GuardedGit:
    """Runs git with the variables of one caller; programs that a repository's settings name are not started."""

    def __init__(self, runner: Runner, *, variables: Mapping[str, str]) -> None:
        self._runner = runner
        self._variables = for_git(variables).variables

    def top(self, folder: Path) -> Path:
        """The root of the work tree that contains a folder. Raises ToolFailed, also if `core.worktree` is elsewhere."""
        top = path_of(Path(), self.output(folder, "rev-parse", "--show-toplevel").removesuffix("\n"))
        here = Path(os.path.realpath(folder))
        if not any(_same(place, top) for place in (here, *here.parents)):
            why = f"its `core.worktree` is `{top}`"
            raise ToolFailed(what=f"`{folder}` is not in the work tree of its own repository", why=why)
        return top

    def filters(self, folder: Path) -> dict[str, str]:
        """Variables that disable the filters whose programs the repository itself names. Raises ToolFailed."""
        undone = filter_overrides(self.settings(folder, r"^(filter|lfs\.extension)\."))
        return as_variables(undone.items(), beside=self._variables)

    def settings(self, folder: Path, pattern: str) -> tuple[Setting, ...]:
        """The effective settings in a folder whose keys match a pattern. Raises ToolFailed."""
        argv = ("config", "--null", "--show-scope", "--get-regexp", pattern)
        done = self.run(folder, *argv, verbatim=True)
        if done.code not in (0, 1):  # 1: there is none
            raise ToolFailed(what=f"`git config` failed in `{folder}`", why=done.last_line)
        return settings_in(done.stdout)

    def origin(self, folder: Path) -> dict[str, str]:
        """Variables that define the `origin` of a repository, for `fetch` in another one. Raises ToolFailed."""
        return as_variables(origin_settings(self.settings(folder, ".")), beside=self._variables)

    def fetch(self, folder: Path, *argv: str, origin: Mapping[str, str]) -> None:
        """Fetch from origin, without blobs and without prompts; failures are ignored, the caller checks the result."""
        self.run(folder, *_FETCH, *argv, variables={**origin, **UNATTENDED}, timeout_s=FETCH_S)

    def output(self, folder: Path, *argv: str, variables: Mapping[str, str] = _NONE) -> str:
        """The unchanged output of git. Raises ToolFailed, so that a failure is not taken for empty output."""
        done = self.run(folder, *argv, verbatim=True, variables=variables)
        if done.code != 0:
            why = mask(done.last_line.encode(errors="replace").decode(), ())
            raise ToolFailed(what=f"`git {argv[0]}` failed in `{folder}`", why=why)
        return done.stdout

    def run(
        self,
        folder: Path,
        *argv: str,
        verbatim: bool = False,
        variables: Mapping[str, str] = _NONE,
        timeout_s: float | None = None,
    ) -> Completed:
        """Run git. Raises ToolMissing without git, ToolFailed on a timeout."""
        bare = bare_repository_at(str(folder))
        if bare is not None:  # the error of a git that supports `safe.bareRepository`
            return Completed(code=128, stdout="", stderr=f"fatal: {BARE} '{bare}'\n")
        command = Command(
            argv=("git", *FLAGS, *argv),
            folder=folder,
            variables={**self._variables, **variables},
            verbatim=verbatim,
            timeout_s=timeout_s,
        )
        return self._runner.run(command)


def _same(place: Path, other: Path) -> bool:
    try:
        return place.samefile(other)
    except OSError:
        return False
