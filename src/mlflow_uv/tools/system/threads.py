"""Runs tasks in threads and ends them together; the standard executor costs a hook 6 ms to import."""

import threading
from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

T = TypeVar("T")

POLL_S = 0.1


def side_by_side(tasks: Sequence[Callable[[], T]], *, at_once: int, cancel: Callable[[], None]) -> list[T]:
    """
    What each task answers, in their order.

    Raises what the first of them in that order raised, once all have ended. Whatever interrupts the wait itself is
    raised after `cancel`, which is to end what the tasks wait for; no further task is begun.
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
            except BaseException as error:  # noqa: BLE001  # raised below, by who waits
                errors[at] = error

    workers = [threading.Thread(target=work) for _ in range(min(len(tasks), at_once))]
    try:
        for worker in workers:
            worker.start()
        for worker in workers:
            while worker.is_alive():
                # A signal that the kernel hands to another thread does not wake a join that waits for ever.
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
    """The same, one call at a time: whoever listens need not be safe for threads."""
    mutex = threading.Lock()

    def heard(line: str) -> None:
        with mutex:
            hear(line)

    return heard
