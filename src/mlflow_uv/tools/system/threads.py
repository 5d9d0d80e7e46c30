"""Runs tasks in threads and ends them together; the standard executor costs a hook 6 ms to import."""

import threading
from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

T = TypeVar("T")

POLL_S = 0.1


def side_by_side(tasks: Sequence[Callable[[], T]], *, at_once: int, cancel: Callable[[], None]) -> list[T]:
    """
    Run tasks in at most `at_once` threads; return their results in order.

    Raises the error of the first failed task in that order, after all have ended. If the wait itself is interrupted, no
    further task starts, `cancel` is called to end the running ones, and the interruption is raised.
    """
    answers: dict[int, T] = {}
    errors: dict[int, BaseException] = {}
    rest: Iterator[tuple[int, Callable[[], T] | None]] = iter(enumerate(tasks))
    mutex = threading.Lock()

    def work() -> None:
        while True:
            with mutex:
                at, task = next(rest, (-1, None))
            if task is None:
                return
            try:
                answers[at] = task()
            except BaseException as error:  # noqa: BLE001  # raised below, in the waiting thread
                errors[at] = error

    workers = [threading.Thread(target=work) for _ in range(min(len(tasks), at_once))]
    try:
        for worker in workers:
            worker.start()
        for worker in workers:
            while worker.is_alive():
                # A signal that the kernel delivers to another thread does not interrupt a join without a timeout.
                worker.join(timeout=POLL_S)
    except BaseException:
        with mutex:
            rest = iter(())
        cancel()
        raise
    if errors:
        raise errors[min(errors)]
    return [answers[at] for at in range(len(tasks))]


def serialized(hear: Callable[[str], None]) -> Callable[[str], None]:
    """A wrapper that makes one call at a time, so that `hear` need not be thread-safe."""
    mutex = threading.Lock()

    def call(line: str) -> None:
        with mutex:
            hear(line)

    return call
