"""
Ends the programs of this process if it is killed (SIGKILL), which lets it end nothing itself.

A second process reads a pipe whose other end only the first one has: the pipe ends with it, however it ends. This also
works where a program cannot ask to be ended with its parent (prctl PR_SET_PDEATHSIG, which is about a thread, not about
a process, and holds for no grandchild).
"""

import marshal
import os
import shutil
import sys
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from .commands import Command
from .descendants import Orphans

AFTER_S = 0.1  # most programs end sooner, and are not worth a second process
_SOURCES = str(Path(__file__).parents[3])
_PROGRAM = "import sys; sys.path.append(sys.argv[1]); from mlflow_uv.tools.system.watchdog_program import main; main()"


class Watchdog:
    """The other process, started when the first program is watched; `orphans` must not take it for one of theirs."""

    def __init__(self, orphans: Orphans) -> None:
        self._orphans = orphans
        self._mutex = threading.Lock()
        self._pipe: int | None = None

    def expect(self, mark: str | None) -> None:
        """Be ready for a program that is about to start: what has its mark ends with this process, until `unwatch`."""
        self._start_and_send(("watch", mark, mark))

    def unwatch(self, mark: str) -> None:
        """Take back what was expected, if it was."""
        self._send(("unwatch", mark, None))

    def watch(self, pid: int, mark: str | None) -> Callable[[], None]:
        """Let a program, its group and what has its mark end with this process; return what takes that back."""
        self._start_and_send(("watch", pid, mark))
        return lambda: self._send(("unwatch", pid, None))

    def watch_later(self, pid: int, mark: str | None) -> Callable[[], None]:
        """The same, but the second process is started only for a program that has run for a moment."""
        if self._pipe is not None:
            return self.watch(pid, mark)
        mutex = threading.Lock()
        unwatch: Callable[[], None] | None = None
        over = False

        def watch() -> None:
            nonlocal unwatch
            with mutex:
                if not over:
                    unwatch = self.watch(pid, mark)

        def stop() -> None:
            nonlocal over
            timer.cancel()
            with mutex:
                over = True
                if unwatch is not None:
                    unwatch()

        timer = threading.Timer(AFTER_S, watch)
        timer.daemon = True
        timer.start()
        return stop

    def if_killed(self, command: Command) -> Callable[[], None]:
        """Run a command if this process is killed; return what takes that back."""
        name, *rest = command.argv
        program = shutil.which(name, path=command.variables.get("PATH")) or name
        key = os.urandom(8).hex()
        what = ((program, *rest), dict(command.variables), str(command.folder))
        self._start_and_send(("run", key, what))
        return lambda: self._send(("drop", key, None))

    def _start_and_send(self, message: tuple[Any, ...]) -> None:
        with self._mutex:
            if self._pipe is None:
                self._pipe = self._started()
        self._send(message)

    def _send(self, message: tuple[Any, ...]) -> None:
        if self._pipe is None:
            return
        data = marshal.dumps(message)
        with self._mutex, suppress(OSError):  # somebody ended it
            while data:
                data = data[os.write(self._pipe, data) :]

    def _started(self) -> int | None:
        read, written = os.pipe()
        try:
            nothing = os.open(os.devnull, os.O_WRONLY)
            try:
                actions = [(os.POSIX_SPAWN_DUP2, read, 0), *((os.POSIX_SPAWN_DUP2, nothing, n) for n in (1, 2))]
                argv = (sys.executable, "-I", "-S", "-c", _PROGRAM, _SOURCES)
                with self._orphans.mutex:
                    self._orphans.started.add(_spawned(argv, actions))
            finally:
                os.close(nothing)
                os.close(read)
        except OSError:
            os.close(written)
            return None
        return written


def _spawned(argv: tuple[str, ...], actions: Sequence[tuple[int, ...]]) -> int:
    """Start it in a session of its own at once: whoever kills our group must not kill it too."""
    try:
        return os.posix_spawn(sys.executable, argv, {}, file_actions=actions, setsid=True)
    except NotImplementedError:  # some C libraries cannot
        return os.posix_spawn(sys.executable, argv, {}, file_actions=actions, setpgroup=0)
