"""Defines a command to run, its result, and the runner interface."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from .threads import T


@dataclass(frozen=True, kw_only=True, slots=True)
class Command:
    """
    One program with its arguments; no shell ever sees them.

    `variables` is its whole environment, `stdin` a text or a file. `hear` is handed every line of both streams while it
    runs, one at a time. With `verbatim`, standard output is data that nobody is shown: it is not masked, and bytes that
    are not UTF-8 become surrogates. `unwind` is told the process id of one that has to end, before it is asked to.
    `foreign` is what runs code of the project or of a model: nothing that it started outlives it. `must_stop` is asked
    again and again while it runs, and ends it. What it prints is masked by the `secrets` too.
    """

    argv: tuple[str, ...]
    variables: Mapping[str, str] = field(repr=False)
    folder: Path
    stdin: str | Path = field(default="", repr=False)
    timeout_s: float | None = None
    hear: Callable[[str], None] | None = field(default=None, repr=False)
    verbatim: bool = False
    unwind: Callable[[int], None] | None = field(default=None, repr=False)
    foreign: bool = False
    must_stop: Callable[[], bool] | None = field(default=None, repr=False)
    secrets: tuple[str, ...] = field(default=(), repr=False)


@dataclass(frozen=True, kw_only=True, slots=True)
class Completed:
    """
    How it ended: `code` is negative for a signal; both streams are whole and masked.

    `orphans` are the names of processes that a foreign program left running in other sessions, and that were ended.
    """

    code: int
    stdout: str
    stderr: str
    orphans: tuple[str, ...] = ()

    @property
    def last_line(self) -> str:
        """The last line that says something, stderr first."""
        for stream in (self.stderr, self.stdout):
            for line in reversed(stream.splitlines()):
                if line.strip():
                    return line.strip()
        return "it printed nothing"


class Running(Protocol):
    """A program that goes on until it is stopped."""

    @property
    def pid(self) -> int:
        """Its process id."""

    def code(self) -> int | None:
        """Its exit code, None while it runs."""

    def log(self) -> str:
        """What it printed so far, masked."""

    def stop(self) -> None:
        """End it and everything it started; safe to call twice."""


class Conversation(Protocol):
    """A program that answers one line for each line it is sent."""

    def ask(self, line: str) -> str | None:
        """Send a line and wait for the line that answers it; None where the program ended instead."""

    def log(self) -> str:
        """What it printed on standard error so far, masked."""

    def stop(self) -> None:
        """End it; safe to call twice."""


class Runner(Protocol):
    """The seam for tests: nothing above it knows how processes are made."""

    def run(self, command: Command) -> Completed:
        """Run to the end. Raises ToolMissing, and ToolFailed when the time is up."""

    def start(self, command: Command) -> Running:
        """Start and leave running. Raises ToolMissing."""

    def converse(self, command: Command) -> Conversation:
        """Start a program that is asked line by line. Raises ToolMissing."""

    def side_by_side(self, tasks: Sequence[Callable[[], T]]) -> list[T]:
        """What tasks that run programs answer, done at once; see `threads.side_by_side`."""
