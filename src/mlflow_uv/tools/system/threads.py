"""Runs tasks in threads and ends them together."""

import queue
import threading
from collections.abc import Callable, Sequence
from typing import TypeVar, cast

T = TypeVar("T")

POLL_S = 0.1


def side_by_side(tasks: Sequence[Callable[[], T]], *, at_once: int, cancel: Callable[[], None]) -> list[T]:
    """
    Run tasks in at most `at_once` threads, a single task in this one; return their results in order.

    Raises the error of the first failed task in that order, after all have ended. If the wait itself is interrupted, no
    further task starts, `cancel` is called to end the running ones, and the interruption is raised.
    """
    if len(tasks) <= 1:
        return [task() for task in tasks]
    from concurrent.futures import ThreadPoolExecutor, wait  # noqa: PLC0415  # a hook on one project needs no threads

    executor = ThreadPoolExecutor(at_once)
    try:
        futures = [executor.submit(task) for task in tasks]
        # A signal that the kernel delivers to another thread does not interrupt a wait without a timeout.
        while wait(futures, timeout=POLL_S).not_done:
            pass
    except BaseException:
        executor.shutdown(wait=False, cancel_futures=True)
        cancel()
        raise
    executor.shutdown()
    return [future.result() for future in futures]


def await_event(event: threading.Event) -> None:
    """Wait for an event; a signal interrupts that, as in `side_by_side`."""
    while not event.wait(POLL_S):
        pass


def await_end(thread: threading.Thread) -> None:
    """Wait until a thread has ended; a signal interrupts that, as in `side_by_side`."""
    while thread.is_alive():
        thread.join(POLL_S)


def within(task: Callable[[], T], *, timeout_s: float) -> T:
    """
    Run a task in a thread and wait for at most `timeout_s` seconds.

    Raises TimeoutError afterwards; the thread is abandoned, and ends with the process at the latest.
    """
    outcomes: queue.SimpleQueue[tuple[T | None, BaseException | None]] = queue.SimpleQueue()

    def run() -> None:
        try:
            outcomes.put((task(), None))
        except BaseException as error:  # noqa: BLE001  # raised again by the waiting thread
            outcomes.put((None, error))

    threading.Thread(target=run, daemon=True).start()
    try:
        result, error = outcomes.get(timeout=timeout_s)
    except queue.Empty:
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
