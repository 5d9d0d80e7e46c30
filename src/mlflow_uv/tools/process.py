"""How do we run another program? The only place that starts processes."""

import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Protocol

from ..core.environment import mask, secrets_in
from ..errors import ToolFailed, ToolMissing
from .threads import T, in_turn, side_by_side

GRACE_S = 10.0
AT_ONCE = 2 * (os.cpu_count() or 1)  # a program that waits leaves room for another


@dataclass(frozen=True, kw_only=True, slots=True)
class Command:
    """
    One program with its arguments; no shell ever sees them.

    `variables` is its whole environment. With `hear`, every line of both streams is also handed on while it runs, one
    at a time. With `verbatim`, standard output is data that nobody is shown: it is not masked, and bytes that are not
    UTF-8 become surrogates. `unwind` is told the process id of one that has to end, before it is asked to.
    """

    argv: tuple[str, ...]
    variables: Mapping[str, str] = field(repr=False)
    folder: Path
    stdin: str = field(default="", repr=False)
    timeout_s: float | None = None
    hear: Callable[[str], None] | None = field(default=None, repr=False)
    verbatim: bool = False
    unwind: Callable[[int], None] | None = field(default=None, repr=False)


@dataclass(frozen=True, kw_only=True, slots=True)
class Completed:
    """How it ended: `code` is negative for a signal; both streams are whole and masked."""

    code: int
    stdout: str
    stderr: str

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


class SystemRunner:
    """Real processes, each the leader of its own group, so that a cancelled step leaves nobody behind."""

    def __init__(self) -> None:
        self._live: set[subprocess.Popen[bytes]] = set()
        self._cancelled = False

    def run(self, command: Command) -> Completed:
        """See Runner."""
        masked = _masked(secrets_in(command.variables))
        reading = (_verbatim if command.verbatim else masked, masked)
        process = _popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        kept: tuple[list[str], list[str]] = ([], [])
        hear = command.hear and in_turn(command.hear)
        readers = [
            threading.Thread(target=_drain, args=(stream, lines, hear, read), daemon=True)
            for stream, lines, read in zip((process.stdout, process.stderr), kept, reading, strict=True)
        ]
        # A thread too: a child that never reads would hold us past its time.
        feeder = threading.Thread(target=_feed, args=(process, command.stdin), daemon=True)
        self._live.add(process)
        try:
            for thread in (*readers, feeder):
                thread.start()
            if not self._cancelled:
                process.wait(timeout=command.timeout_s)
        except subprocess.TimeoutExpired as error:
            raise ToolFailed(
                what=f"`{_name(command)}` did not end within {command.timeout_s:.0f} s", why="it was stopped"
            ) from error
        finally:
            if command.unwind is not None and process.poll() is None:
                command.unwind(process.pid)
                with suppress(subprocess.TimeoutExpired):
                    process.wait(timeout=GRACE_S)
            end_group(process)
            self._live.discard(process)
        until = time.monotonic() + GRACE_S
        for reader in readers:
            # What left our group may hold a pipe open for ever.
            reader.join(timeout=max(0, until - time.monotonic()))
        stdout, stderr = ("".join(lines) for lines in kept)
        return Completed(code=process.returncode, stdout=stdout, stderr=stderr)

    def start(self, command: Command) -> Running:
        """See Runner."""
        log = _log()
        try:
            process = _popen(command, stdout=log, stderr=subprocess.STDOUT)
            _feed(process, command.stdin)
        except BaseException:
            log.close()
            raise
        return _Started(process, log, secrets_in(command.variables))

    def converse(self, command: Command) -> Conversation:
        """See Runner."""
        log = _log()
        try:
            process = _popen(command, stdout=subprocess.PIPE, stderr=log)
        except BaseException:
            log.close()
            raise
        return _Conversing(process, log, secrets_in(command.variables))

    def side_by_side(self, tasks: Sequence[Callable[[], T]]) -> list[T]:
        """See Runner. Cancelled, it ends every program that is still running."""
        return side_by_side(tasks, at_once=AT_ONCE, cancel=self._end_all)

    def _end_all(self) -> None:
        self._cancelled = True
        for process in tuple(self._live):
            end_group(process)


class _Started:
    def __init__(self, process: "subprocess.Popen[bytes]", log: IO[bytes], secrets: tuple[str, ...]) -> None:
        self._process = process
        self._log = log
        self._secrets = secrets
        self._final = ""

    @property
    def pid(self) -> int:
        return self._process.pid

    def code(self) -> int | None:
        return self._process.poll()

    def log(self) -> str:
        if self._log.closed:
            return self._final
        size = os.fstat(self._log.fileno()).st_size
        return mask(os.pread(self._log.fileno(), size, 0).decode(errors="replace"), self._secrets)

    def stop(self) -> None:
        if self._log.closed:
            return
        end_group(self._process)
        self._final = self.log()
        self._log.close()


class _Conversing(_Started):
    def ask(self, line: str) -> str | None:
        assert self._process.stdin is not None  # noqa: S101  # always a pipe
        assert self._process.stdout is not None  # noqa: S101  # `converse` made it one
        try:
            self._process.stdin.write(line.encode() + b"\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            return None
        answer = self._process.stdout.readline()
        return answer.decode(errors="replace") if answer else None

    def stop(self) -> None:
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                with suppress(BrokenPipeError):  # it ended with a question half asked
                    pipe.close()
        super().stop()


def _popen(command: Command, *, stdout: int | IO[bytes], stderr: int | IO[bytes]) -> "subprocess.Popen[bytes]":
    try:
        return subprocess.Popen(  # noqa: S603  # argv only, no shell
            command.argv,
            stdin=subprocess.PIPE,
            stdout=stdout,
            stderr=stderr,
            cwd=command.folder,
            env=dict(command.variables),
            start_new_session=True,
        )
    except (FileNotFoundError, PermissionError, NotADirectoryError) as error:
        if not command.folder.is_dir():
            raise ToolFailed(what=f"`{command.folder}` is not a folder", why=str(error)) from error
        raise ToolMissing(what=f"`{_name(command)}` cannot be started", why=error.strerror or str(error)) from error


def _log() -> IO[bytes]:
    """A file that lives as long as its process."""
    import tempfile  # noqa: PLC0415  # 4 ms that hooks do not pay: they leave nothing running

    return tempfile.TemporaryFile()


def _feed(process: "subprocess.Popen[bytes]", text: str) -> None:
    assert process.stdin is not None  # noqa: S101  # always a pipe
    with suppress(BrokenPipeError), process.stdin as stdin:
        stdin.write(text.encode())


def _verbatim(raw: bytes) -> str:
    return raw.decode(errors="surrogateescape")


def _masked(secrets: tuple[str, ...]) -> Callable[[bytes], str]:
    return lambda raw: mask(raw.decode(errors="replace"), secrets)


def _drain(
    stream: IO[bytes], lines: list[str], hear: Callable[[str], None] | None, read: Callable[[bytes], str]
) -> None:
    with stream:
        for raw in stream:
            line = read(raw)
            lines.append(line)
            if hear is None:
                continue
            try:
                hear(line.rstrip("\r\n"))
            except OSError:
                hear = None  # nobody listens any more; a pipe that is not drained would stop the child


def end_group(process: "subprocess.Popen[bytes]") -> None:
    """End the process and all of its group: asked first, forced after a while."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(process.pid, number)
        except (ProcessLookupError, PermissionError):
            break
        try:
            process.wait(timeout=GRACE_S)
        except subprocess.TimeoutExpired:
            continue
    process.wait()


def _name(command: Command) -> str:
    return Path(command.argv[0]).name
