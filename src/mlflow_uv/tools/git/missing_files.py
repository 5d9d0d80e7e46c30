"""Explains why a tracked file is not on disk, and finds the last valid version of a broken file."""

import os
from collections.abc import Callable, Mapping
from pathlib import Path

from ...command.errors import ToolFailed, ToolMissing
from ...core.lock.missing_files import AbsenceReason, AbsentPath
from ..system.process import Runner
from .guarded import GuardedGit
from .messages import bytes_of, entry_of

SUBMODULE = "160000"
_INDEX = ("ls-files", "-z", "-v", "--stage")
_VERSIONS = 50  # at most this many versions of a file are tried
_SHORT = 12


class GitFiles:
    """Read-only access to the files of a repository, with the variables of one caller."""

    def __init__(self, runner: Runner, *, variables: Mapping[str, str]) -> None:
        self._git = GuardedGit(runner, variables=variables)

    def absence(self, path: Path) -> AbsentPath | None:
        """Why a tracked path is not on disk; None if it is not tracked, or git fails."""
        start = next((folder for folder in (path, *path.parents) if folder.is_dir()), path)
        try:
            top = self._git.top(start)
            real = Path(os.path.realpath(start), os.path.relpath(path, start))
            name = Path(os.path.normpath(real)).relative_to(os.path.realpath(top)).as_posix()
            entries = [entry_of(line) for line in self._git.output(top, *_INDEX).split("\0") if line]
            submodules = [
                entry.name for entry in entries if entry.mode == SUBMODULE and f"{name}/".startswith(f"{entry.name}/")
            ]
            if submodules:
                return AbsentPath(reason=AbsenceReason.SUBMODULE, path=submodules[0], top=top)
            if not any(f"{entry.name}/".startswith(f"{name}/") and entry.tag.upper() == "S" for entry in entries):
                return None
            sparse = self._git.run(top, "config", "--type=bool", "--get", "core.sparseCheckout").stdout.strip()
        except (ToolMissing, ToolFailed, ValueError):
            return None
        return AbsentPath(
            reason=AbsenceReason.SPARSE if sparse == "true" else AbsenceReason.SKIPPED, path=name, top=top
        )

    def restore_argv(self, file: Path, accepts: Callable[[bytes], bool]) -> tuple[str, ...] | None:
        """
        Arguments for `git checkout` that restore the newest version of a file for which `accepts` is true.

        Tried are both sides of a merge, the index, HEAD, and earlier commits; None if no version fits, or git fails.
        """
        folder, name = file.parent, file.name

        def accepted(version: str) -> bool:
            done = self._git.run(folder, "show", "--no-textconv", f"{version}:./{name}", verbatim=True)
            return done.code == 0 and accepts(bytes_of(done.stdout))

        try:
            for words, version in ((("--ours",), ":2"), (("--theirs",), ":3"), ((), ":0"), (("HEAD",), "HEAD")):
                if accepted(version):
                    return words
            listed = self._git.run(folder, "rev-list", f"--max-count={_VERSIONS}", "--parents", "HEAD", "--", name)
            for commit in dict.fromkeys(listed.stdout.split()):
                if accepted(commit):
                    return (commit[:_SHORT],)
        except (ToolMissing, ToolFailed):
            return None
        return None
