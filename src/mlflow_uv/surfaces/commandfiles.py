"""Undoes what programs of a step wrote into the files from which a GitHub runner takes commands."""

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from ..command.report import Finding
from ..core.security.child_environment import COMMAND_FILES
from ..payloads.messages.lazy_dataclass import lazy_dataclass


@lazy_dataclass
class CommandFiles:
    """
    The contents of the runner's files at the start of the step, by the variables that name them.

    A runner gives each step files of its own, so until this step writes them, no other program may. Children do not get
    the variables, but can find the files below RUNNER_TEMP.
    """

    before: Mapping[str, tuple[Path, bytes | None]]

    @classmethod
    def of(cls, variables: Mapping[str, str], *, train_env: tuple[str, ...]) -> "CommandFiles":
        """Read them, without those that `train-env` handed to the training by name."""
        names = [name for name in COMMAND_FILES if variables.get(name) and name not in train_env]
        return cls(before={name: (path := Path(variables[name]), _content(path)) for name in names})

    def restored(self) -> tuple[Finding, ...]:
        """Restore the files that were changed; one error names all of them."""
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
            why="the runner would have used what was written, so it was removed",
            fix=f"remove that from the program, or let training write there: `train-env: {' '.join(changed)}`",
        )
        return (finding,)


def _content(path: Path) -> bytes | None:
    """The bytes of a file; None where there is none, or a link."""
    try:
        return None if path.is_symlink() else path.read_bytes()
    except OSError:
        return None
