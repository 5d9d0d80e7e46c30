"""Ends what another process runs once that process is gone; `watchdog` starts it, and each start takes milliseconds."""

import marshal
import os
import sys
import time
from collections.abc import Iterator
from contextlib import suppress

from .marks import all_pids, mark_of
from .prctl import make_undumpable
from .spawned import Spawned

ENDING_S = 5.0  # between SIGTERM and SIGKILL
POLL_S = 0.05
_NOTHING, _TERMINATE, _KILL = 0, 15, 9  # `signal` takes 5 ms to import


def main() -> None:
    """Read what is watched until the pipe ends, and end what is watched then."""
    with suppress(OSError):
        os.setsid()  # not in the group that a terminal or a runner interrupts
    os.chdir("/")
    make_undumpable()  # the variables of a command may hold a secret
    watched: dict[int, str | None] = {}
    commands: dict[str, tuple[tuple[str, ...], dict[str, str], str]] = {}
    for kind, key, value in _messages():
        match kind:
            case "watch":
                watched[key] = value
            case "forget":
                watched.pop(key, None)
            case "run":
                commands[key] = value
            case "drop":
                commands.pop(key, None)
    _end(watched)
    for argv, variables, folder in commands.values():
        with suppress(OSError):
            Spawned(argv, folder=folder, variables=variables, stream=1).wait()


def _messages() -> Iterator[tuple]:  # type: ignore[type-arg]  # the types of a message depend on its first part
    with suppress(EOFError):
        while True:
            yield marshal.load(sys.stdin.buffer)  # noqa: S302  # written by the process that started this one


def _end(watched: dict[int, str | None]) -> None:
    forced_from = time.monotonic() + ENDING_S
    _signal(watched, _TERMINATE)
    while _signal(watched, _NOTHING) and time.monotonic() < forced_from:
        time.sleep(POLL_S)
    _signal(watched, _KILL)


def _signal(watched: dict[int, str | None], number: int) -> bool:
    """Send a signal to what is watched; whether anything was there to get it."""
    marks = {mark for mark in watched.values() if mark}
    marked = [pid for pid in all_pids() if mark_of(pid) in marks] if marks else []
    reached = False
    for send, pids in ((os.killpg, watched), (os.kill, marked)):
        for pid in pids:
            with suppress(ProcessLookupError, PermissionError):
                send(pid, number)
                reached = True
    return reached
