"""Code that takes too long is interrupted, and other code is not."""

import signal
import time
from contextlib import suppress

import pytest

from mlflow_uv.payloads.models.interruption import Interrupted, interrupted_after


def sleep_for_ever(seconds: float) -> None:
    """Until it is interrupted, whatever else is raised."""
    with interrupted_after(seconds):
        while True:
            with suppress(Exception):
                time.sleep(10)


def test_code_that_takes_too_long_is_interrupted() -> None:
    """
    Also if it handles every Exception.
    """
    with pytest.raises(Interrupted):
        sleep_for_ever(0.05)


def test_the_handler_and_the_timer_are_as_before() -> None:
    """
    Nothing is interrupted later.
    """
    before = signal.getsignal(signal.SIGALRM)

    with interrupted_after(60):
        pass

    assert (before, (0.0, 0.0)) == (signal.getsignal(signal.SIGALRM), signal.getitimer(signal.ITIMER_REAL))
