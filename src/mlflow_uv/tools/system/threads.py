"""Runs tasks in threads and ends them together."""

import queue
import threading
import time
from collections.abc import Callable, Sequence
from typing import TypeVar, cast

T = TypeVar("T")

POLL_S = 0.1

_thread = threading.local()  # `is_stopped` of the task that runs in a thread


class TaskStopped(Exception):
    """Nobody waits for the result of a task any more."""


def stoppable(task: Callable[[], T], is_stopped: Callable[[], bool]) -> Callable[[], T]:
    """
    A task for another thread, in which `within`, `pause` and the like raise TaskStopped once `is_stopped` returns true.

    No signal interrupts a wait in a thread, and Python joins the threads before it ends.
    """

    def run() -> T:
        _thread.is_stopped = is_stopped
        return task()

    return run


def require_not_stopped() -> None:
    """Raise TaskStopped if the task of this thread is stopped."""
    if _stop_of_this_thread()():
        raise TaskStopped


def pause(seconds: float) -> None:
    """Sleep. Raises TaskStopped if the task of this thread is stopped meanwhile."""
    until = time.monotonic() + seconds
    while (rest_s := until - time.monotonic()) > 0:
        time.sleep(min(rest_s, POLL_S))
        require_not_stopped()


def _stop_of_this_thread() -> Callable[[], bool]:
    return getattr(_thread, "is_stopped", _never)


def _never() -> bool:
    return False


def side_by_side(tasks: Sequence[Callable[[], T]], *, at_once: int, cancel: Callable[[], None]) -> list[T]:
    """
    Run tasks in at most `at_once` threads, a single task in this one; return their results in order.

    Raises the error of the first failed task in that order, after all have ended. If the wait itself is interrupted, no
    further task starts, `cancel` is called to end the running ones, whose waits end too (see `stoppable`), and the
    interruption is raised once they have ended: until then they may write into a folder that the caller removes.
    """
    if len(tasks) <= 1:
        return [task() for task in tasks]
    from concurrent.futures import ThreadPoolExecutor, wait  # noqa: PLC0415  # a hook on one project needs no threads

    executor, interrupted = ThreadPoolExecutor(at_once), threading.Event()
    outer = _stop_of_this_thread()
    try:
        futures = [executor.submit(stoppable(task, lambda: interrupted.is_set() or outer())) for task in tasks]
        # A signal that the kernel delivers to another thread does not interrupt a wait without a timeout.
        while wait(futures, timeout=POLL_S).not_done:
            require_not_stopped()
    except BaseException:
        interrupted.set()
        executor.shutdown(wait=False, cancel_futures=True)
        cancel()
        executor.shutdown()
        raise
    executor.shutdown()
    return [future.result() for future in futures]


def await_event(event: threading.Event) -> None:
    """Wait for an event; a signal interrupts that, as in `side_by_side`."""
    while not event.wait(POLL_S):
        require_not_stopped()


def await_end(thread: threading.Thread) -> None:
    """Wait until a thread has ended; a signal interrupts that, as in `side_by_side`."""
    while thread.is_alive():
        thread.join(POLL_S)


def within(task: Callable[[], T], *, timeout_s: float | None) -> T:
    """
    Run a task in a thread and wait for at most `timeout_s` seconds; a signal interrupts that, as in `side_by_side`.

    Raises TimeoutError afterwards, and TaskStopped if this thread is stopped meanwhile; the other thread is abandoned,
    and ends with the process at the latest.
    """
    outcomes: queue.SimpleQueue[tuple[T | None, BaseException | None]] = queue.SimpleQueue()
    is_stopped = _stop_of_this_thread()

    def run() -> None:
        try:
            outcomes.put((stoppable(task, is_stopped)(), None))
        except BaseException as error:  # noqa: BLE001  # raised again by the waiting thread
            outcomes.put((None, error))

    until = None if timeout_s is None else time.monotonic() + timeout_s
    threading.Thread(target=run, daemon=True).start()
    while True:
        rest_s = POLL_S if until is None else until - time.monotonic()
        try:
            result, error = outcomes.get(timeout=max(0.0, min(POLL_S, rest_s)))
            break
        except queue.Empty:
            require_not_stopped()
            if rest_s <= 0:
                raise TimeoutError from None
    if error is not None:
        raise error
    return cast("T", result)


def serialized(on_line: Callable[[str], None]) -> Callable[[str], None]:
    """A wrapper that makes one call at a time, so that `on_line` need not be thread-safe."""
    mutex = threading.Lock()

    def call(line: str) -> None:
        with mutex:
            on_line(line)

    return call
