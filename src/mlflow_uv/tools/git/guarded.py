"""Runs git so that it starts no program that a checkout names (see docs/threat-model.md)."""

import os
from collections.abc import Mapping
from pathlib import Path

from ...command.errors import ToolFailed
from ...core.security.child_environment import for_git
from ...core.security.git_settings import (
    GUARD,
    NETWORK,
    Setting,
    as_variables,
    filter_overrides,
    origin_settings,
    settings_in,
)
from ...core.security.masking import mask
from ..system.process import Command, Completed, Runner
from .messages import BARE, path_of

FETCH_S = 120.0
_UNATTENDED = {"GIT_TERMINAL_PROMPT": "0", "GIT_SSH_COMMAND": "ssh -o BatchMode=yes"} | NETWORK
_FETCH = (
    "-c", "gc.auto=0", "-c", "maintenance.auto=false", "fetch", "--quiet", "--no-tags", "--no-write-fetch-head",
    "--recurse-submodules=no", "--filter=blob:none", "--upload-pack=git-upload-pack",
)  # fmt: skip
# Without a refresh `diff` does not write the index, which a running hook may hold.
_SETTINGS = {"core.quotePath": "off", "diff.autoRefreshIndex": "false", "log.showSignature": "false"} | GUARD
_FLAGS = ("--no-pager", *(word for key, value in _SETTINGS.items() for word in ("-c", f"{key}={value}")))
_NONE: Mapping[str, str] = {}


class GuardedGit:
    """One git program, called on behalf of one caller; programs that a repository's own settings name do not run."""

    def __init__(self, runner: Runner, *, variables: Mapping[str, str]) -> None:
        self._runner = runner
        self._variables = for_git(variables).variables

    def top(self, folder: Path) -> Path:
        """Root of the work tree that a folder is in. Raises ToolFailed, also where a setting puts it elsewhere."""
        top = path_of(Path(), self.answer(folder, "rev-parse", "--show-toplevel").removesuffix("\n"))
        here = Path(os.path.realpath(folder))
        if not any(_same(place, top) for place in (here, *here.parents)):
            why = f"its `core.worktree` is `{top}`"
            raise ToolFailed(what=f"`{folder}` is not in the work tree of its own repository", why=why)
        return top

    def filters(self, folder: Path) -> dict[str, str]:
        """Variables that undo the filters for which the repository itself names a program. Raises ToolFailed."""
        undone = filter_overrides(self.settings(folder, r"^(filter|lfs\.extension)\."))
        return as_variables(undone.items(), beside=self._variables)

    def settings(self, folder: Path, pattern: str) -> tuple[Setting, ...]:
        """Every setting with such a key that git would obey in a folder. Raises ToolFailed."""
        argv = ("config", "--null", "--show-scope", "--get-regexp", pattern)
        done = self.ask(folder, *argv, verbatim=True)
        if done.code not in (0, 1):  # 1: there is none
            raise ToolFailed(what=f"`git config` failed in `{folder}`", why=done.last_line)
        return settings_in(done.stdout)

    def origin(self, folder: Path) -> dict[str, str]:
        """Variables that lead to where a repository came from, for `fetch` in another. Raises ToolFailed."""
        return as_variables(origin_settings(self.settings(folder, ".")), beside=self._variables)

    def fetch(self, folder: Path, *argv: str, origin: Mapping[str, str]) -> None:
        """Fetch from origin, without files and without asking anybody; the caller sees whether anything came."""
        self.ask(folder, *_FETCH, *argv, variables={**origin, **_UNATTENDED}, timeout_s=FETCH_S)

    def answer(self, folder: Path, *argv: str, variables: Mapping[str, str] = _NONE) -> str:
        """What git prints, byte for byte. Raises ToolFailed: no answer must not pass for "nothing differs"."""
        done = self.ask(folder, *argv, verbatim=True, variables=variables)
        if done.code != 0:
            why = mask(done.last_line.encode(errors="replace").decode(), ())
            raise ToolFailed(what=f"`git {argv[0]}` failed in `{folder}`", why=why)
        return done.stdout

    def ask(
        self,
        folder: Path,
        *argv: str,
        verbatim: bool = False,
        variables: Mapping[str, str] = _NONE,
        timeout_s: float | None = None,
    ) -> Completed:
        """How git ended. Raises ToolMissing without git, ToolFailed when the time is up."""
        bare = lookalike(folder)
        if bare is not None:  # what a git that knows `safe.bareRepository` says
            return Completed(code=128, stdout="", stderr=f"fatal: {BARE} '{bare}'\n")
        command = Command(
            argv=("git", *_FLAGS, *argv),
            folder=folder,
            variables={**self._variables, **variables},
            verbatim=verbatim,
            timeout_s=timeout_s,
        )
        return self._runner.run(command)


def lookalike(folder: Path) -> Path | None:
    """
    The folder that git would take for a bare repository, at or above this one; None where a `.git` comes before it.

    Such a folder can be committed. git tells one by these three names, and gits before 2.38 enter it.
    """
    start = Path(os.path.realpath(folder))
    for place in (start, *start.parents):
        if os.path.lexists(place / "HEAD") and (place / "objects").is_dir() and (place / "refs").is_dir():
            return place if place.name != ".git" else None
        if (place / ".git").is_file() or os.path.lexists(place / ".git" / "HEAD"):
            return None
    return None


def _same(place: Path, other: Path) -> bool:
    try:
        return place.samefile(other)
    except OSError:
        return False
