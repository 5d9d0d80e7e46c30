"""Keeps what a step runs from writing into the files that a GitHub runner obeys."""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from ..command.report import Finding
from ..core.security.child_environment import COMMAND_FILES


@dataclass(frozen=True, kw_only=True, slots=True)
class CommandFiles:
    """
    The runner's files as a step found them, by the variables that name them.

    A runner gives each step files of its own, so that until this step writes there, nobody else may. Children are not
    told where they are, but can find them below RUNNER_TEMP.
    """

    before: Mapping[str, tuple[Path, bytes | None]]

    @classmethod
    def of(cls, variables: Mapping[str, str], *, handed: tuple[str, ...]) -> "CommandFiles":
        """Read them; those that training was `handed` by name are its own."""
        names = [name for name in COMMAND_FILES if variables.get(name) and name not in handed]
        return cls(before={name: (path := Path(variables[name]), _content(path)) for name in names})

    def restored(self) -> tuple[Finding, ...]:
        """Put back what somebody changed; an error that names it."""
        changed = [name for name, (path, content) in self.before.items() if _content(path) != content]
        for path, content in (self.before[name] for name in changed):
            with suppress(OSError):
                path.unlink(missing_ok=True)
                if content is not None:
                    path.write_bytes(content)
        if not changed:
            return ()
        finding = Finding(
            rule="runner-files-written",
            what=f"a program that this step ran wrote to {', '.join(changed)}",
            why="the runner would have followed it, so it was taken out again",
            fix=f"remove that from the program, or allow it to training: `train-env: {' '.join(changed)}`",
        )
        return (finding,)


def _content(path: Path) -> bytes | None:
    """None for what is not there, and for what is no file of its own."""
    try:
        return None if path.is_symlink() else path.read_bytes()
    except OSError:
        return None
