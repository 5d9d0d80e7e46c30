"""Explains why a tracked file is not on disk, and finds the last valid version of a broken file."""

import os
from collections.abc import Callable, Mapping
from pathlib import Path

from ...command.errors import ToolFailed, ToolMissing
from ...core.lock.missing_files import Absence, AbsenceReason
from ..system.process import Runner
from .guarded import GuardedGit
from .messages import bytes_of, entry_of

SUBMODULE = "160000"
_INDEX = ("ls-files", "-z", "-v", "--stage")
_VERSIONS = 50  # of a file, that are looked at to find one that can be read
_SHORT = 12


class GitFiles:
    """Read-only questions about files, on behalf of one caller."""

    def __init__(self, runner: Runner, *, variables: Mapping[str, str]) -> None:
        self._git = GuardedGit(runner, variables=variables)

    def absence(self, path: Path) -> Absence | None:
        """Why a path that is tracked is not on disk; None where it is not tracked, or git has no answer."""
        start = next((folder for folder in (path, *path.parents) if folder.is_dir()), path)
        try:
            top = self._git.top(start)
            real = Path(os.path.realpath(start), os.path.relpath(path, start))
            name = Path(os.path.normpath(real)).relative_to(os.path.realpath(top)).as_posix()
            entries = [entry_of(line) for line in self._git.answer(top, *_INDEX).split("\0") if line]
            submodules = [
                one.name for one in entries if one.mode == SUBMODULE and f"{name}/".startswith(f"{one.name}/")
            ]
            if submodules:
                return Absence(reason=AbsenceReason.SUBMODULE, path=submodules[0], top=top)
            if not any(f"{one.name}/".startswith(f"{name}/") and one.tag.upper() == "S" for one in entries):
                return None
            sparse = self._git.ask(top, "config", "--type=bool", "--get", "core.sparseCheckout").stdout.strip()
        except (ToolMissing, ToolFailed, ValueError):
            return None
        return Absence(reason=AbsenceReason.SPARSE if sparse == "true" else AbsenceReason.SKIPPED, path=name, top=top)

    def restorable(self, file: Path, accepts: Callable[[bytes], bool]) -> tuple[str, ...] | None:
        """
        What `git checkout` takes to bring back the newest version of a file that is accepted.

        A side of a merge that goes on, the index, HEAD, a commit before it; None where none is, or git has no answer.
        """
        folder, name = file.parent, file.name

        def accepted(version: str) -> bool:
            done = self._git.ask(folder, "show", "--no-textconv", f"{version}:./{name}", verbatim=True)
            return done.code == 0 and accepts(bytes_of(done.stdout))

        try:
            for words, version in ((("--ours",), ":2"), (("--theirs",), ":3"), ((), ":0"), (("HEAD",), "HEAD")):
                if accepted(version):
                    return words
            listed = self._git.ask(folder, "rev-list", f"--max-count={_VERSIONS}", "--parents", "HEAD", "--", name)
            for commit in dict.fromkeys(listed.stdout.split()):
                if accepted(commit):
                    return (commit[:_SHORT],)
        except (ToolMissing, ToolFailed):
            return None
        return None
