"""
Starts a program with `posix_spawn`, for a hook that must not import `subprocess`.

For short programs that run no code of a project, since nothing ends what they leave running.
"""

import os
import select
from collections.abc import Mapping

AT_ONCE = 2 * (os.cpu_count() or 1)  # programs that run at the same time; they often wait for the network
_STEP_S = 0.05  # between two checks whether a program ended, whose output another process may hold open
_PIECE = 1 << 16
_TERMINATE = 15  # SIGTERM; `signal` takes 5 ms to import


class Spawned:
    """A running program; one of its output streams is kept, the other one and its input are empty."""

    def __init__(self, argv: tuple[str, ...], *, folder: str, variables: Mapping[str, str], stream: int) -> None:
        """Start it in a folder, with `variables` as its environment; `stream` is 1 or 2. Raises OSError."""
        before = os.getcwd()
        self._pipe, written = os.pipe()
        try:
            nothing = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
            try:
                streams = [(os.POSIX_SPAWN_DUP2, nothing, number) for number in range(3) if number != stream]
                os.chdir(folder)  # `posix_spawn` has no working folder of its own
                self._pid = os.posix_spawn(
                    argv[0], argv, variables, file_actions=[*streams, (os.POSIX_SPAWN_DUP2, written, stream)]
                )
            finally:
                os.chdir(before)
                os.close(nothing)
        except BaseException:
            os.close(self._pipe)
            raise
        finally:
            os.close(written)
        self._pieces: list[bytes] = []
        self._code: int | None = None

    def wait(self) -> tuple[int, str]:
        """Its exit code and its output; bytes that are not UTF-8 are kept as surrogates."""
        while self._code is None:
            self._read(_STEP_S)
        return self._code, b"".join(self._pieces).decode(errors="surrogateescape")

    def _read(self, timeout_s: float) -> None:
        readable, _, _ = select.select([self._pipe], [], [], timeout_s)
        if readable and (piece := os.read(self._pipe, _PIECE)):
            self._pieces.append(piece)
            return
        ended, status = os.waitpid(self._pid, 0 if readable else os.WNOHANG)
        if ended:
            self._code = os.waitstatus_to_exitcode(status)
            os.close(self._pipe)

    def stop(self) -> None:
        """End it if it still runs."""
        if self._code is None:
            os.kill(self._pid, _TERMINATE)
            self.wait()
