"""How often is the server asked again, and what is done where asking again would make a thing twice?"""

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from .problems import ProblemKind, breaks_off, kind_of

T = TypeVar("T")

# MLflow reads them anew for every call.
RETRIES = "MLFLOW_HTTP_REQUEST_MAX_RETRIES"
_FACTOR = "MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR"


def make_once(make: Callable[[], T], look: Callable[[], "T | None"]) -> T:
    """
    Make something on the server, and never twice.

    MLflow's client repeats every call that was not answered, also the ones that make something: where the answer alone
    was lost, there are two of it then. Here it is looked for before it is made again, as often as MLflow would have
    asked, and with its pauses.
    """
    retries = int(os.environ.get(RETRIES, "2"))
    for attempt in range(retries + 1):
        try:
            with waiting(0):
                return make()
        except Exception as error:  # whatever it is, it is raised again or the call is repeated
            if kind_of(error) is not ProblemKind.UNREACHABLE or attempt == retries:
                raise
        time.sleep(_pause_s(attempt))
        found = look()
        if found is not None:
            return found
    raise AssertionError("the last attempt returns or raises")


def read_whole(ask: Callable[[], T]) -> T:
    """
    Ask again where an answer broke off.

    MLflow's client repeats a call that was not answered, but not one whose answer it could not read to its end.
    """
    for attempt in range(int(os.environ.get(RETRIES, "2"))):
        try:
            return ask()
        except Exception as error:
            if not breaks_off(error):
                raise
        time.sleep(_pause_s(attempt))
    return ask()


def _pause_s(attempt: int) -> float:
    """As MLflow's client does: none at first, then 2, 4, 8 seconds if the factor is one."""
    return float(os.environ.get(_FACTOR, "1")) * 2**attempt if attempt else 0.0


@contextmanager
def waiting(retries: "int | None") -> Iterator[None]:
    """Let every call be repeated so often, as long as the block runs; None leaves it as it is."""
    before = os.environ.get(RETRIES)
    if retries is not None:
        os.environ[RETRIES] = str(retries)
    try:
        yield
    finally:
        if before is not None:
            os.environ[RETRIES] = before
        else:
            os.environ.pop(RETRIES, None)
