"""The clock of the system, which every waiting loop of the program uses."""

import time

from mlflow_uv.tools.system.clock import SystemClock


def test_a_wait_passes_on_the_clock_that_loops_are_limited_by() -> None:
    """
    At least as long as it was asked to; a loop with a limit would else not end.
    """
    clock = SystemClock()
    begun = clock.now_s()

    clock.wait(0.01)

    assert clock.now_s() - begun >= 0.01


def test_the_date_is_that_of_the_system() -> None:
    """
    Seconds since 1970: other machines compare it with theirs.
    """
    before = time.time()

    assert before <= SystemClock().date_s() <= time.time()
