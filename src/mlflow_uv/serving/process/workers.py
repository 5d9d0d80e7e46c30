"""
Forks several worker processes from one that loaded the model; if one of them or their parent dies, all stop.

A fork shares memory until it is written to, and keeps only the thread that forks. So threads that the model started
while it was loaded would be lost, and files that it opened shared by mistake; `unshareable` detects both.
"""

import os
import random
import signal
import socket
import sys
import threading
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from .log import log

STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT)
GRACE_S = 5.0  # for a worker to end after it has drained, or after another one died
ENDING_S = 0.3  # for threads that are stopping
KILLED = 128  # what a shell adds to the number of a signal


def unshareable() -> "frozenset[str]":
    """
    The threads and open files of this process, which a fork loses or shares by mistake.

    OpenBLAS stops its threads before every fork and restarts them on use, so a first fork is made here: the remaining
    threads belong to libraries that do not support forks.
    """
    child = os.fork()
    if child == 0:
        os._exit(0)
    os.waitpid(child, 0)
    threads = (f"thread {path.name}" for path in Path("/proc/self/task").iterdir())
    return frozenset((*threads, *open_files()))


def unshareable_since(before: "frozenset[str]") -> "list[str]":
    """What was added since `before`; threads that are stopping get up to ENDING_S seconds."""
    deadline = time.monotonic() + ENDING_S
    added = unshareable() - before
    while added and time.monotonic() < deadline:
        time.sleep(ENDING_S / 10)
        added = unshareable() - before
    return sorted(added)


def open_files() -> "list[str]":
    """Every open file descriptor with its target."""
    descriptors = []
    for path in Path("/proc/self/fd").iterdir():
        with suppress(OSError):  # the descriptor that lists the folder
            descriptors.append(f"{path.name} is {path.readlink()}")
    return descriptors


def supervise(serve: Callable[[], int], count: int, drain: float, listener: socket.socket) -> int:
    """
    Fork `count` workers, forward the stop signal, and wait for them; 0 if all ended in order, else a worker's status.

    `drain` is in seconds. If one worker ends without a stop signal, all are stopped, so that the platform restarts the
    container. If this process is killed, the workers drain and end by themselves.
    """
    signal.pthread_sigmask(signal.SIG_BLOCK, (*STOP_SIGNALS, signal.SIGCHLD))
    # Only this process keeps the write end: however it ends, the kernel closes it, and the workers read the end.
    parent_alive, alive = os.pipe()

    def serve_with_parent() -> int:
        os.close(alive)
        stop_at_end_of(parent_alive, drain + GRACE_S)
        return serve()

    workers = {fork(serve_with_parent) for _ in range(count)}
    os.close(parent_alive)
    listener.close()  # the workers hold it; once they close it, connections are refused
    code, deadline = 0, None
    while workers:
        remaining = None if deadline is None else max(0.0, deadline - time.monotonic())
        received = wait_for_signal(remaining)
        if received is None:
            send_signal(workers, signal.SIGKILL)
            code, deadline = code or 1, time.monotonic() + GRACE_S
        elif received != signal.SIGCHLD and deadline is None:
            send_signal(workers, signal.SIGTERM)
            deadline = time.monotonic() + drain + GRACE_S
        for worker, ended in reap(workers):
            workers.discard(worker)
            if deadline is None or ended != KILLED + signal.SIGTERM:  # stopped before it served
                code = code or ended
            if deadline is None:
                if ended > KILLED:
                    log(f"Worker {worker} was killed by signal {ended - KILLED}; all stop. Out of memory is signal 9.")
                code = code or 1
                send_signal(workers, signal.SIGTERM)
                deadline = time.monotonic() + GRACE_S
    os.close(alive)
    return code


def stop_at_end_of(pipe: int, seconds: float) -> None:
    """Watch the read end of a pipe in a thread: at its end, stop this process, and kill it `seconds` later."""

    def watch() -> None:
        os.read(pipe, 1)
        log(f"The parent of worker {os.getpid()} ended without stopping it; the worker stops.")
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(seconds)
        os.kill(os.getpid(), signal.SIGKILL)

    threading.Thread(target=watch, name="parent-watcher", daemon=True).start()


def wait_for_signal(seconds: "float | None") -> "int | None":
    """The number of the next signal to this process; None after `seconds` without one."""
    handled = (*STOP_SIGNALS, signal.SIGCHLD)
    if seconds is None:
        return signal.sigwait(handled)
    received = signal.sigtimedwait(handled, seconds)
    return None if received is None else received.si_signo


def fork(serve: Callable[[], int]) -> int:
    """Fork a worker, which ends with os._exit: exit handlers run once, in the parent. Returns its process id."""
    sys.stdout.flush()
    sys.stderr.flush()
    worker = os.fork()
    if worker:
        return worker
    code = 1
    try:
        # Unlike process 1 it has default handlers: until it serves, a signal ends it even during a long library call.
        for number in STOP_SIGNALS:
            signal.signal(number, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, (*STOP_SIGNALS, signal.SIGCHLD))
        reseed()
        code = serve()
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 1
    except BaseException:  # noqa: BLE001 - os._exit below would hide it
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def reseed() -> None:
    """Seed the global random generators of a worker: forks share the state of numpy's."""
    random.seed()
    if "numpy" in sys.modules:
        sys.modules["numpy"].random.seed()


def reap(workers: "set[int]") -> "list[tuple[int, int]]":
    """The workers that have ended, with their exit status as a shell reports it; reaps orphans, too, as process 1."""
    ended_workers = []
    with suppress(ChildProcessError):
        while True:
            ended, status = os.waitpid(-1, os.WNOHANG)
            if ended == 0:
                break
            if ended in workers:
                code = os.waitstatus_to_exitcode(status)
                ended_workers.append((ended, code if code >= 0 else KILLED - code))
    return ended_workers


def send_signal(workers: "set[int]", number: signal.Signals) -> None:
    """Send a signal to all workers that are still running."""
    for worker in workers:
        with suppress(ProcessLookupError):
            os.kill(worker, number)
