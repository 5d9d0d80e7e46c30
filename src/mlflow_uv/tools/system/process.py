"""Runs other programs and leaves none of them running; no other module starts processes."""

import errno
import os
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from typing import IO

from ...command.errors import ToolFailed, ToolMissing
from ...core.security.masking import mask, secrets_in
from .commands import Command, Completed, Conversation, Runner, Running, TooSlow
from .descendants import Orphans
from .marks import MARK
from .spawned import AT_ONCE
from .streams import drain_masked, drain_verbatim
from .threads import T, serialized, side_by_side
from .watchdog import Watchdog

__all__ = ("Command", "Completed", "Conversation", "Runner", "Running", "SystemRunner", "TooSlow", "end_group")

GRACE_S = 10.0
ORPHAN_GRACE_S = 2.0  # for processes that outlive their program
WATCH_S = 0.2  # interval of calls to `must_stop`
LONGEST_LINE = 64 << 20  # bytes of a response line
TEMPORARY = ("TMPDIR", "TEMP", "TMP")  # the variables of `tempfile`
# What the operating system says of a file that is no program, and what it means where its words do not say that.
_NO_PROGRAM = {
    errno.ENOENT: "", errno.EACCES: "", errno.EPERM: "", errno.ENOTDIR: "", errno.ELOOP: "", errno.ENAMETOOLONG: "",
    errno.ENOEXEC: "it is neither a program of this machine nor a script whose first line names one, as `#!/bin/sh`",
}  # fmt: skip


class SystemRunner:
    """
    Runs real processes, each the leader of its own group, so that a cancelled step leaves none running.

    Their output is masked with the secrets of `caller`, the complete environment of this process, because a child may
    find secrets that it was not given.
    """

    _orphans = Orphans()  # shared by all runners of this process
    _watchdog = Watchdog(_orphans)

    def __init__(self, caller: Mapping[str, str] | None = None) -> None:
        self._caller = caller or {}
        self._live: set[subprocess.Popen[bytes]] = set()
        self._cancelled = False

    @cached_property
    def _secrets(self) -> tuple[str, ...]:
        return secrets_in(self._caller)

    def _secrets_of(self, command: Command) -> tuple[str, ...]:
        new = {name: value for name, value in command.variables.items() if self._caller.get(name) != value}
        return (*command.secrets, *secrets_in(new), *self._secrets)

    def run(self, command: Command) -> Completed:
        """See Runner."""
        secrets = self._secrets_of(command)
        child = self._start(command, watched=command.watched, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        process = child.process
        streams: tuple[list[str], list[str]] = ([], [])
        on_line = command.on_line and serialized(command.on_line)
        masked = [
            (drain_masked, (pipe, lines, on_line, secrets)) for pipe, lines in zip(child.pipes, streams, strict=True)
        ]
        reading: list[tuple[Callable[..., None], tuple[object, ...]]] = [*masked]
        if command.verbatim:
            reading[0] = (drain_verbatim, (process.stdout, streams[0]))
        readers = [threading.Thread(target=read, args=args, daemon=True) for read, args in reading]
        # In a thread: a child that does not read would block past its timeout.
        feeder = threading.Thread(target=_feed, args=(process, command.stdin), daemon=True)
        self._live.add(process)
        orphans: tuple[str, ...] = ()
        too_slow: subprocess.TimeoutExpired | None = None
        try:
            if command.watched:
                child.watch()
            else:
                child.watch_later()
            for thread in (*readers, feeder):
                thread.start()
            if not self._cancelled:
                _wait(process, command)
        except subprocess.TimeoutExpired as error:
            too_slow = error
        finally:
            if command.unwind is not None and process.poll() is None:
                command.unwind(process.pid)
                with suppress(subprocess.TimeoutExpired):
                    process.wait(timeout=GRACE_S)
            orphans = child.end()
            self._live.discard(process)
        until = time.monotonic() + GRACE_S
        for reader in readers:
            # A process that left the group may keep a pipe open for ever.
            reader.join(timeout=max(0, until - time.monotonic()))
        stdout, stderr = ("".join(lines) for lines in streams)
        if too_slow is not None:
            what = f"`{_name(command)}` did not end within {command.timeout_s:.0f} s"
            slow = TooSlow(what=what, why="it was stopped")
            slow.stderr = stderr
            raise slow from too_slow
        return Completed(code=process.returncode, stdout=stdout, stderr=stderr, orphans=orphans)

    def start(self, command: Command) -> Running:
        """See Runner."""
        log = _log()
        try:
            child = self._start(command, watched=True, stdout=log, stderr=subprocess.STDOUT)
            child.watch()
            _feed(child.process, command.stdin)
        except BaseException:
            log.close()
            raise
        return _Started(child, log, self._secrets_of(command))

    def converse(self, command: Command) -> Conversation:
        """See Runner."""
        log = _log()
        try:
            child = self._start(command, watched=True, stdout=subprocess.PIPE, stderr=log)
            child.watch()
        except BaseException:
            log.close()
            raise
        return _Conversing(child, log, self._secrets_of(command), command)

    def _start(self, command: Command, *, watched: bool, stdout: int | IO[bytes], stderr: int | IO[bytes]) -> "_Child":
        mark = self._orphans.expect() if command.foreign else None
        temporary = _temporary_folder() if command.own_temporary else None
        more = {MARK: mark} if mark else {}
        if temporary is not None:
            more |= dict.fromkeys(TEMPORARY, temporary.name)
        if watched:
            self._watchdog.expect(mark)
        try:
            with self._orphans.mutex:
                process = _popen(command, more, stdout=stdout, stderr=stderr)
                self._orphans.started.add(process.pid)
        except BaseException:
            if mark is not None:
                self._watchdog.unwatch(mark)
                self._orphans.end(None, mark, grace_s=ORPHAN_GRACE_S)
            if temporary is not None:
                temporary.cleanup()
            raise
        return _Child(process, self._orphans, self._watchdog, mark, temporary)

    def if_killed(self, command: Command) -> Callable[[], None]:
        """See Runner."""
        return self._watchdog.if_killed(command)

    def side_by_side(self, tasks: Sequence[Callable[[], T]]) -> list[T]:
        """See Runner. When cancelled, it ends all running programs."""
        return side_by_side(tasks, at_once=AT_ONCE, cancel=self.end_all)

    def end_all(self) -> None:
        """See Runner."""
        self._cancelled = True
        for process in tuple(self._live):
            end_group(process)


class _Child:
    """A started process, its mark if it is foreign, and its folder for temporary files if it has one of its own."""

    def __init__(
        self,
        process: "subprocess.Popen[bytes]",
        orphans: Orphans,
        watchdog: Watchdog,
        mark: str | None,
        temporary: "tempfile.TemporaryDirectory[str] | None",
    ) -> None:
        self.process = process
        self._orphans = orphans
        self._watchdog = watchdog
        self._mark = mark
        self._temporary = temporary
        self._unwatch: Callable[[], None] = lambda: None

    def watch(self) -> None:
        """Let it end with this process, also if that is killed."""
        self._unwatch = self._watchdog.watch(self.process.pid, self._mark)

    def watch_later(self) -> None:
        """The same if it runs for more than a moment."""
        self._unwatch = self._watchdog.watch_later(self.process.pid, self._mark)

    @property
    def pipes(self) -> tuple[IO[bytes] | None, IO[bytes] | None]:
        return self.process.stdout, self.process.stderr

    def end(self) -> tuple[str, ...]:
        """End it, its group, and the orphans of a foreign one; return the names of these."""
        end_group(self.process)
        try:
            self._unwatch()
            if self._mark is not None:
                orphans = self._orphans.end(self.process.pid, self._mark, grace_s=ORPHAN_GRACE_S)
                self._watchdog.unwatch(self._mark)
                return orphans
            self._orphans.unregister(self.process.pid)
            return ()
        finally:
            if self._temporary is not None:
                self._temporary.cleanup()


class _Started:
    def __init__(self, child: _Child, log: IO[bytes], secrets: tuple[str, ...]) -> None:
        self._child = child
        self._process = child.process
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
        self._child.end()
        self._final = self.log()
        self._log.close()


class _Conversing(_Started):
    def __init__(self, child: _Child, log: IO[bytes], secrets: tuple[str, ...], command: Command) -> None:
        super().__init__(child, log, secrets)
        self._command = command
        self._reader: threading.Thread | None = None

    def ask(self, line: str) -> str | None:
        limit_s = self._command.timeout_s
        if limit_s is None:
            return self._answer(line)
        answers: list[str | None] = []
        self._reader = threading.Thread(target=lambda: answers.append(self._answer(line)), daemon=True)
        self._reader.start()
        try:
            self._reader.join(limit_s)
        finally:
            if late := self._reader.is_alive():
                self._child.end()
                self._reader.join(GRACE_S)
        if late:
            what = f"`{_name(self._command)}` did not respond within {limit_s:.0f} s"
            raise TooSlow(what=what, why="it was stopped")
        return answers[0] if answers else None

    def _answer(self, line: str) -> str | None:
        assert self._process.stdin is not None  # noqa: S101  # always a pipe
        assert self._process.stdout is not None  # noqa: S101  # `converse` made it one
        try:
            self._process.stdin.write(line.encode() + b"\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            return None
        # A line without an end would fill the memory: the program may run code of a model.
        answer = self._process.stdout.readline(LONGEST_LINE)
        return answer.decode(errors="replace") if answer.endswith(b"\n") else None

    def stop(self) -> None:
        reading = self._reader is not None and self._reader.is_alive()  # a process that left the group has the pipe
        for pipe in () if reading else (self._process.stdin, self._process.stdout):
            if pipe is not None:
                with suppress(BrokenPipeError):  # it ended while a request was written
                    pipe.close()
        super().stop()


def _popen(
    command: Command, more: Mapping[str, str], *, stdout: int | IO[bytes], stderr: int | IO[bytes]
) -> "subprocess.Popen[bytes]":
    try:
        return subprocess.Popen(  # noqa: S603  # argv only, no shell
            command.argv,
            stdin=subprocess.PIPE,
            stdout=stdout,
            stderr=stderr,
            cwd=command.folder,
            env={**command.variables, **more},
            start_new_session=True,
        )
    except OSError as error:
        if not command.folder.is_dir():
            raise ToolFailed(what=f"`{command.folder}` is not a folder", why=str(error)) from error
        what, why = f"`{_name(command)}` cannot be started", error.strerror or str(error)
        if error.errno in _NO_PROGRAM:
            raise ToolMissing(what=what, why=_NO_PROGRAM[error.errno] or why) from error
        raise ToolFailed(what=what, why=why) from error


def _wait(process: "subprocess.Popen[bytes]", command: Command) -> None:
    """Wait until it ends or must stop. Raises TimeoutExpired."""
    if command.must_stop is None:
        process.wait(timeout=command.timeout_s)
        return
    while not command.must_stop():
        with suppress(subprocess.TimeoutExpired):
            process.wait(timeout=WATCH_S)
            return


def _temporary_folder() -> "tempfile.TemporaryDirectory[str]":
    return tempfile.TemporaryDirectory(prefix="mlflow-uv-", ignore_cleanup_errors=True)


def _log() -> IO[bytes]:
    """A temporary file for the output of a process."""
    return tempfile.TemporaryFile()


def _feed(process: "subprocess.Popen[bytes]", content: str | Path) -> None:
    assert process.stdin is not None  # noqa: S101  # always a pipe
    with suppress(BrokenPipeError), process.stdin as stdin:
        stdin.write(content.read_bytes() if isinstance(content, Path) else content.encode())


def end_group(process: "subprocess.Popen[bytes]") -> None:
    """End a process and its group: SIGTERM, after GRACE_S SIGKILL."""
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
