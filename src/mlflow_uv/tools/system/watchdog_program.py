"""Ends what another process runs once that process is gone; `watchdog` starts it, and each start takes milliseconds."""

import marshal
import os
import sys
import time
from collections.abc import Iterator
from contextlib import suppress

from .marks import all_pids, mark_of, stat_of
from .prctl import make_undumpable
from .spawned import Spawned

ENDING_S = 5.0  # between SIGTERM and SIGKILL
POLL_S = 0.05
AGAIN_S = 1.0  # an engine may still be creating what its client asked for before it was killed
_ENDED = ("Z", "X")
_NOTHING, _TERMINATE, _KILL = 0, 15, 9  # `signal` takes 5 ms to import


def main() -> None:
    """Read what is watched until the pipe ends, and end what is watched then."""
    os.chdir("/")
    make_undumpable()  # the variables of a command may hold a secret
    watched: dict[int | str | None, str | None] = {}
    commands: dict[str, tuple[tuple[str, ...], dict[str, str], str]] = {}
    for kind, key, value in _messages():
        match kind:
            case "watch":
                watched[key] = value
            case "unwatch":
                watched.pop(key, None)
            case "run":
                commands[key] = value
            case "drop":
                commands.pop(key, None)
    _end(watched)
    for wait_s in (0, AGAIN_S) if commands else ():
        time.sleep(wait_s)
        for argv, variables, folder in commands.values():
            with suppress(OSError):
                Spawned(argv, folder=folder, variables=variables, stream=1).wait()


def _messages() -> Iterator[tuple]:  # type: ignore[type-arg]  # the types of a message depend on its first part
    with suppress(EOFError):
        while True:
            yield marshal.load(sys.stdin.buffer)  # noqa: S302  # written by the process that started this one


def _end(watched: dict[int | str | None, str | None]) -> None:
    descendants: dict[int, str] = {}
    forced_from = time.monotonic() + ENDING_S
    _signal(watched, descendants, _TERMINATE)
    while _signal(watched, descendants, _NOTHING) and time.monotonic() < forced_from:
        time.sleep(POLL_S)
    _signal(watched, descendants, _KILL)


def _signal(watched: dict[int | str | None, str | None], descendants: dict[int, str], number: int) -> bool:
    """Send a signal to what is watched; whether anything was there to get it."""
    _update(descendants, watched)
    groups = [key for key in watched if isinstance(key, int)]
    reached = False
    for send, pids in ((os.killpg, groups), (os.kill, list(descendants))):
        for pid in pids:
            with suppress(ProcessLookupError, PermissionError):
                send(pid, number)
                reached = True
    return reached


def _update(descendants: dict[int, str], watched: dict[int | str | None, str | None]) -> None:
    """
    Keep what still runs of foreign programs, with the time of its start, and add what they started meanwhile.

    A process without the mark is found while its parent runs; afterwards it is known.
    """
    marks = {mark for mark in watched.values() if mark}
    if not marks:
        return
    stats = ((pid, stat_of(pid)) for pid in all_pids())
    running = {pid: stat[1:] for pid, stat in stats if stat is not None and stat[0] not in _ENDED}
    for pid, start in tuple(descendants.items()):
        if pid not in running or running[pid][1] != start:
            del descendants[pid]
    new = {pid for pid in running if watched.get(pid) or mark_of(pid) in marks}
    while new:
        descendants.update((pid, running[pid][1]) for pid in new)
        new = {pid for pid, (parent, _) in running.items() if parent in descendants and pid not in descendants}
