"""Defines a command to run, its result, and the runner interface."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import field
from pathlib import Path
from typing import Protocol

from ...command.errors import ToolFailed
from ...payloads.messages.lazy_dataclass import lazy_dataclass
from .threads import T


class TooSlow(ToolFailed):
    """A program did not end, or did not respond, within its time limit; it was ended. `stderr` is what it said."""

    stderr: str = ""


@lazy_dataclass
class Command:
    """
    A program with its arguments, run without a shell.

    `variables` is its complete environment, `stdin` a text or a file. `on_line` is called with each line of both
    streams while it runs, one call at a time. `timeout_s` limits the time until it ends, of one that converses the time
    of each response. With `verbatim`, standard output is data and is not shown: it is not masked, and bytes that are
    not UTF-8 become surrogates. `unwind` is called with the process id before a running program is terminated. A
    `foreign` program runs code of the project or of a model: processes that it leaves running are ended. `must_stop` is
    polled while it runs; the program is ended once it returns true. `secrets` are masked in its output. With
    `own_temporary` it gets a folder of its own for temporary files, which is removed when it has ended: a program that
    is killed leaves its files behind. If this process is killed, a `watched` program ends with it from its first moment
    on; others do once they have run for a moment, since most end sooner.
    """

    argv: tuple[str, ...]
    variables: Mapping[str, str] = field(repr=False)
    folder: Path
    stdin: str | Path = field(default="", repr=False)
    timeout_s: float | None = None
    on_line: Callable[[str], None] | None = field(default=None, repr=False)
    verbatim: bool = False
    unwind: Callable[[int], None] | None = field(default=None, repr=False)
    foreign: bool = False
    own_temporary: bool = False
    watched: bool = False
    must_stop: Callable[[], bool] | None = field(default=None, repr=False)
    secrets: tuple[str, ...] = field(default=(), repr=False)


@lazy_dataclass
class Completed:
    """
    The result of a program: `code` is negative for a signal; both streams are complete and masked.

    `orphans` are the names of processes that a foreign program left running in other sessions and that were ended.
    """

    code: int
    stdout: str
    stderr: str
    orphans: tuple[str, ...] = ()

    @property
    def last_line(self) -> str:
        """The last line that is not blank, of stderr, else of stdout."""
        for stream in (self.stderr, self.stdout):
            for line in reversed(stream.splitlines()):
                if line.strip():
                    return line.strip()
        return "it printed nothing"


class Running(Protocol):
    """A program that runs until it is stopped."""

    @property
    def pid(self) -> int:
        """Its process id."""

    def code(self) -> int | None:
        """Its exit code, None while it runs."""

    def log(self) -> str:
        """Its output so far, masked."""

    def stop(self) -> None:
        """End it and the processes that it started; safe to call twice."""


class Conversation(Protocol):
    """A program that responds with one line to each line that it gets."""

    def ask(self, line: str) -> str | None:
        """Send a line and wait for the response; None if the program ended instead. Raises TooSlow at its limit."""

    def code(self) -> int | None:
        """Its exit code, the negative number of the signal that ended it; None while it runs."""

    def log(self) -> str:
        """Its standard error so far, masked."""

    def stop(self) -> None:
        """End it; safe to call twice."""


class Runner(Protocol):
    """Runs commands; tests replace it."""

    def run(self, command: Command) -> Completed:
        """Run a program until it ends. Raises ToolMissing, and TooSlow on a timeout."""

    def start(self, command: Command) -> Running:
        """Start a program and leave it running. Raises ToolMissing."""

    def converse(self, command: Command) -> Conversation:
        """Start a program that reads requests line by line. Raises ToolMissing."""

    def if_killed(self, command: Command) -> Callable[[], None]:
        """Run a command if this process is killed (SIGKILL) before the function that is returned is called."""

    def side_by_side(self, tasks: Sequence[Callable[[], T]]) -> list[T]:
        """Run tasks that run programs concurrently; return their results in order. See `threads.side_by_side`."""

    def end_all(self) -> None:
        """End all programs that `run` runs, and each that it starts from now on: the step was cancelled."""
