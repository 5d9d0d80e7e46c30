"""The model is loaded in a thread that ends, and a failure is one message whose last line is the reason."""

import sys
import threading

import pytest

from mlflow_uv.serving.model.loading import CannotLoad, fail, run_in_thread


def test_the_thread_that_loaded_has_ended() -> None:
    """
    Its result is returned, and nothing of it is left for a fork to lose.
    """
    before = threading.active_count()

    loader = run_in_thread(threading.current_thread)

    assert (before, False) == (threading.active_count(), loader.is_alive())


def test_an_error_of_the_thread_is_raised_here() -> None:
    """
    Also one that is no Exception, such as the exit of a model's code.
    """
    with pytest.raises(SystemExit, match="7"):
        run_in_thread(lambda: sys.exit(7))


def test_the_last_line_is_the_reason() -> None:
    """
    The lines of a message with several become one, after the traceback.
    """
    with pytest.raises(CannotLoad) as raised:
        fail("The model cannot be served", ValueError("a\n  b"))

    assert "The model cannot be served: ValueError: a b" == str(raised.value).splitlines()[-1]
