"""
How do several processes serve one model? They are forked from one that loaded it, and stand and fall together.

A fork takes along memory, which is then shared as long as nobody writes to it, and only the thread that forks. So what
the model started or opened while it was loaded would be lost or shared by mistake; `held` finds that out.
"""

import os
import random
import signal
import socket
import sys
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

TOLD = (signal.SIGTERM, signal.SIGINT)
GRACE = 5.0  # seconds for a worker to end after it has drained, or after another one died
ENDING = 0.3  # seconds
KILLED = 128  # what a shell adds to the number of a signal


def held() -> "frozenset[str]":
    """
    The threads and open files of this process that a fork would not get right.

    OpenBLAS ends its threads before every fork and starts them again after it, so a fork is made first: threads that
    are still there belong to a library that does nothing of the kind.
    """
    child = os.fork()
    if child == 0:
        os._exit(0)
    os.waitpid(child, 0)
    threads = (f"thread {path.name}" for path in Path("/proc/self/task").iterdir())
    return frozenset((*threads, *open_files()))


def held_since(before: "frozenset[str]") -> "list[str]":
    """What came since then and stays; threads that are told to end are given a moment."""
    deadline = time.monotonic() + ENDING
    more = held() - before
    while more and time.monotonic() < deadline:
        time.sleep(ENDING / 10)
        more = held() - before
    return sorted(more)


def open_files() -> "list[str]":
    """Every descriptor with what is behind it."""
    found = []
    for path in Path("/proc/self/fd").iterdir():
        with suppress(OSError):  # the one that read the folder
            found.append(f"{path.name} is {path.readlink()}")
    return found


def supervise(serve: Callable[[], int], count: int, drain: float, listener: socket.socket) -> int:
    """
    Fork the workers, pass on the signal to stop, and end when they have; 0 if all of them ended in order.

    When one ends unasked, all end: whoever runs the container sees it and starts it anew.
    """
    signal.pthread_sigmask(signal.SIG_BLOCK, (*TOLD, signal.SIGCHLD))
    workers = {fork(serve) for _ in range(count)}
    listener.close()  # the workers have it, and when they close it, connections are refused
    code, deadline = 0, None
    while workers:
        left = None if deadline is None else max(0.0, deadline - time.monotonic())
        told = wait_for_signal(left)
        if told is None:
            tell(workers, signal.SIGKILL)
            code, deadline = code or 1, time.monotonic() + GRACE
        elif told != signal.SIGCHLD and deadline is None:
            tell(workers, signal.SIGTERM)
            deadline = time.monotonic() + drain + GRACE
        for worker, ended in reap(workers):
            workers.discard(worker)
            if deadline is None or ended != KILLED + signal.SIGTERM:  # told to, before it served
                code = code or ended
            if deadline is None:
                if ended > KILLED:
                    say(f"Worker {worker} was killed by signal {ended - KILLED}, so all end. Out of memory sends 9.")
                code = code or 1
                tell(workers, signal.SIGTERM)
                deadline = time.monotonic() + GRACE
    return code


def wait_for_signal(seconds: "float | None") -> "int | None":
    """The number of the next signal to us, or None after so many seconds."""
    mine = (*TOLD, signal.SIGCHLD)
    if seconds is None:
        return signal.sigwait(mine)
    found = signal.sigtimedwait(mine, seconds)
    return None if found is None else found.si_signo


def fork(serve: Callable[[], int]) -> int:
    """Start a worker, which ends without what others would clean up at their end: the parent does that once."""
    sys.stdout.flush()
    sys.stderr.flush()
    worker = os.fork()
    if worker:
        return worker
    code = 1
    try:
        # It is no first process: until it serves, a signal ends it, also in a call that does not let Python handle any.
        for number in TOLD:
            signal.signal(number, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, (*TOLD, signal.SIGCHLD))
        reseed()
        code = serve()
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 1
    except BaseException:  # noqa: BLE001 - whatever it is, the process ends below before Python would show it
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def reseed() -> None:
    """Give each worker random numbers of its own; `random` does that by itself, numpy does not."""
    random.seed()
    if "numpy" in sys.modules:
        sys.modules["numpy"].random.seed()


def reap(workers: "set[int]") -> "list[tuple[int, int]]":
    """The workers that have ended, with their status as a shell counts it; as a first process, orphans too."""
    found = []
    with suppress(ChildProcessError):
        while True:
            ended, status = os.waitpid(-1, os.WNOHANG)
            if ended == 0:
                break
            if ended in workers:
                code = os.waitstatus_to_exitcode(status)
                found.append((ended, code if code >= 0 else KILLED - code))
    return found


def tell(workers: "set[int]", number: signal.Signals) -> None:
    """Send a signal to all that are there."""
    for worker in workers:
        with suppress(ProcessLookupError):
            os.kill(worker, number)


def say(sentence: str) -> None:
    """A line in the log."""
    sys.stderr.write(sentence + "\n")
    sys.stderr.flush()
