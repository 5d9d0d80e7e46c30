"""Tasks in threads: their results in order, their errors once all have ended, and an interruption that ends them."""

import signal
import subprocess
import sys
import threading
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlflow_uv.tools.system.threads import (
    TaskStopped,
    await_event,
    pause,
    serialized,
    side_by_side,
    stoppable,
    within,
)
from tests.waiting import CEILING_S


def nothing() -> None:
    """Cancel nothing."""


@given(st.lists(st.integers(), max_size=12), st.integers(1, 4))
def test_results_are_in_the_order_of_the_tasks(numbers: list[int], at_once: int) -> None:
    """
    Whichever ends first.
    """
    tasks = [lambda number=number: number * 2 for number in numbers]

    assert [number * 2 for number in numbers] == side_by_side(tasks, at_once=at_once, cancel=nothing)


def test_a_single_task_gets_no_thread() -> None:
    """
    A hook on one project is faster without.
    """
    assert [threading.current_thread()] == side_by_side([threading.current_thread], at_once=4, cancel=nothing)


def test_no_more_tasks_run_at_once_than_allowed() -> None:
    """
    Two of them wait for each other, so two do run at once.
    """
    both, running, most = threading.Barrier(2), [0], [0]
    lock = threading.Lock()

    def task() -> None:
        with lock:
            running[0] += 1
            most[0] = max(most[0], running[0])
        both.wait(CEILING_S)
        with lock:
            running[0] -= 1

    side_by_side([task] * 6, at_once=2, cancel=nothing)

    assert 2 == most[0]


def test_the_first_error_is_raised_after_all_have_ended() -> None:
    """
    The first in the order of the tasks, not of time; `cancel` is for interruptions alone.
    """
    ended: list[str] = []
    later = threading.Event()

    def first() -> None:
        later.wait(CEILING_S)
        raise ValueError("first")

    def second() -> None:
        later.set()
        raise KeyError("second")

    def third() -> None:
        ended.append("third")

    with pytest.raises(ValueError, match="first"):
        side_by_side([first, second, third], at_once=3, cancel=lambda: ended.append("cancelled"))

    assert ["third"] == ended


def test_an_interruption_is_raised_once_the_running_tasks_have_ended() -> None:
    """
    `cancel` ends what they wait for; before they end, they may write where the caller removes a folder.
    """
    begun, released, ended = threading.Event(), threading.Event(), list[str]()

    def task() -> None:
        begun.set()
        released.wait(CEILING_S)
        ended.append("task")

    def interrupted() -> None:
        assert begun.wait(CEILING_S)
        signal.raise_signal(signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        side_by_side([task, interrupted], at_once=2, cancel=lambda: threading.Timer(0.2, released.set).start())

    assert ["task"] == ended


def test_lines_of_several_threads_come_one_at_a_time() -> None:
    """
    A console need not be thread-safe.
    """
    inside = [0]
    overlaps: list[int] = []

    def on_line(_line: str) -> None:
        inside[0] += 1
        overlaps.append(inside[0])
        inside[0] -= 1

    call = serialized(on_line)
    side_by_side([lambda: [call("x") for _ in range(200)] for _ in range(4)], at_once=4, cancel=nothing)

    assert ({1}, 800) == (set(overlaps), len(overlaps))


def test_a_task_gives_its_result_or_its_error() -> None:
    """
    As if it ran here.
    """

    def fail() -> int:
        raise KeyError("a")

    assert 3 == within(lambda: 3, timeout_s=CEILING_S)
    with pytest.raises(KeyError, match="a"):
        within(fail, timeout_s=CEILING_S)


def test_a_task_that_takes_too_long_is_left_alone() -> None:
    """
    The caller goes on.
    """
    end = threading.Event()

    with pytest.raises(TimeoutError):
        within(end.wait, timeout_s=0.05)

    end.set()


def test_a_task_without_a_limit_of_time_is_waited_for() -> None:
    """
    As a download, which takes as long as bytes arrive.
    """
    assert 3 == within(lambda: 3, timeout_s=None)


@pytest.mark.parametrize(
    "wait",
    [
        lambda never: within(never.wait, timeout_s=3600),
        lambda never: within(never.wait, timeout_s=None),
        lambda _: pause(3600),
        await_event,
        lambda never: side_by_side(
            [never.is_set, lambda: within(never.wait, timeout_s=3600)], at_once=2, cancel=nothing
        ),
    ],
    ids=["limited", "unlimited", "pause", "event", "nested"],
)
def test_a_wait_in_a_thread_ends_when_its_task_is_stopped(wait: Callable[[threading.Event], object]) -> None:
    """
    No signal interrupts it, and a process ends only once its threads have.
    """
    never, stop, begun = threading.Event(), threading.Event(), threading.Event()
    errors: list[BaseException] = []

    def task() -> None:
        begun.set()
        try:
            wait(never)
        except BaseException as error:  # noqa: BLE001  # of another thread
            errors.append(error)

    thread = threading.Thread(target=stoppable(task, stop.is_set), daemon=True)
    thread.start()
    assert begun.wait(CEILING_S)
    stop.set()
    thread.join(CEILING_S)

    assert (False, [TaskStopped]) == (thread.is_alive(), list(map(type, errors)))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_that_another_thread_gets_interrupts_a_wait(number: signal.Signals) -> None:
    """
    The kernel delivers it to any thread; Python handles it in the main one, which must not be in one long wait.
    """
    code = f"""
import signal, sys, threading
from mlflow_uv.tools.system.threads import await_end, await_event
def end(*_):
    signal.signal({int(number)}, signal.SIG_IGN)
    raise SystemExit(7)
signal.signal({int(number)}, end)
never = threading.Event()
other = threading.Thread(target=never.wait)
other.start()
def place():
    frame = sys._current_frames()[threading.main_thread().ident]
    return frame.f_code.co_name, frame.f_lasti
def send():
    before = None
    while before is None or before[0] != "wait" or before != place():
        before = place()
        never.wait(0.05)
    signal.pthread_kill(other.ident, {int(number)})
try:
    threading.Thread(target=send, daemon=True).start()
    await_event(never)
finally:
    never.set()
    await_end(other)
"""
    done = subprocess.run((sys.executable, "-c", code), check=False, timeout=CEILING_S)

    assert 7 == done.returncode
