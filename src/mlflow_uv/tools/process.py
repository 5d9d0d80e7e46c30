"""How do we run another program? The only place that starts processes."""

import os
import signal
import subprocess
import tempfile
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Protocol

from ..core.environment import mask, secrets_in
from ..errors import ToolFailed, ToolMissing

GRACE_S = 10.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Command:
    """
    One program with its arguments; no shell ever sees them.

    `variables` is its whole environment. With `hear`, every line of both streams is also handed on while it runs.
    """

    argv: tuple[str, ...]
    variables: Mapping[str, str] = field(repr=False)
    folder: Path
    stdin: str = field(default="", repr=False)
    timeout_s: float | None = None
    hear: Callable[[str], None] | None = field(default=None, repr=False)


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


class Runner(Protocol):
    """The seam for tests: nothing above it knows how processes are made."""

    def run(self, command: Command) -> Completed:
        """Run to the end. Raises ToolMissing, and ToolFailed when the time is up."""

    def start(self, command: Command) -> Running:
        """Start and leave running. Raises ToolMissing."""


class SystemRunner:
    """Real processes, each the leader of its own group, so that a cancelled step leaves nobody behind."""

    def run(self, command: Command) -> Completed:
        """See Runner."""
        secrets = secrets_in(command.variables)
        process = _popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        kept: tuple[list[str], list[str]] = ([], [])
        readers = [
            threading.Thread(target=_drain, args=(stream, lines, command.hear, secrets), daemon=True)
            for stream, lines in zip((process.stdout, process.stderr), kept, strict=True)
        ]
        try:
            for reader in readers:
                reader.start()
            _feed(process, command.stdin)
            process.wait(timeout=command.timeout_s)
            for reader in readers:
                # A grandchild that was left in the background may hold the pipe open for ever.
                reader.join(timeout=GRACE_S)
        except subprocess.TimeoutExpired as error:
            raise ToolFailed(
                what=f"`{_name(command)}` did not end within {command.timeout_s:.0f} s", why="it was stopped"
            ) from error
        finally:
            end_group(process)
        stdout, stderr = ("".join(lines) for lines in kept)
        return Completed(code=process.returncode, stdout=stdout, stderr=stderr)

    def start(self, command: Command) -> Running:
        """See Runner."""
        log = tempfile.TemporaryFile()  # noqa: SIM115  # lives as long as the process
        try:
            process = _popen(command, stdout=log, stderr=subprocess.STDOUT)
            _feed(process, command.stdin)
        except BaseException:
            log.close()
            raise
        return _Started(process, log, secrets_in(command.variables))


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
        end_group(self._process)
        self._final = self.log()
        self._log.close()


def _popen(command: Command, *, stdout: int | IO[bytes], stderr: int) -> "subprocess.Popen[bytes]":
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


def _feed(process: "subprocess.Popen[bytes]", text: str) -> None:
    assert process.stdin is not None  # noqa: S101  # always a pipe
    try:
        with process.stdin as stdin:
            stdin.write(text.encode())
    except BrokenPipeError:
        pass


def _drain(
    stream: IO[bytes], lines: list[str], hear: Callable[[str], None] | None, secrets: tuple[str, ...]
) -> None:
    for raw in stream:
        line = mask(raw.decode(errors="replace"), secrets)
        lines.append(line)
        if hear is not None:
            hear(line.rstrip("\r\n"))


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
