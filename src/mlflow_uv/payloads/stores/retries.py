"""Repeats calls to the server: within MLflow's retry settings, and without creating anything twice."""

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from ..problems import ProblemKind, is_incomplete, kind_of

T = TypeVar("T")

# MLflow reads them for every call.
RETRIES = "MLFLOW_HTTP_REQUEST_MAX_RETRIES"
TIMEOUT = "MLFLOW_HTTP_REQUEST_TIMEOUT"
_FACTOR = "MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR"


def create_once(create: Callable[[], T], find: Callable[[], "T | None"]) -> T:
    """
    Create something on the server exactly once; `find` returns it if it exists.

    MLflow's client repeats every call without a response, also calls that create something: if only the response was
    lost, there are two of it. Here `find` runs before each retry, with MLflow's number of retries and its pauses.
    """
    retries = int(os.environ.get(RETRIES, "2"))
    for attempt in range(retries + 1):
        try:
            with limited_retries(0):
                return create()
        except Exception as error:  # it is raised again, or the call is repeated
            if kind_of(error) is not ProblemKind.UNREACHABLE or attempt == retries:
                raise
        time.sleep(_pause_s(attempt))
        existing = find()
        if existing is not None:
            return existing
    raise AssertionError("the last attempt returns or raises")


def retry_incomplete(call: Callable[[], T]) -> T:
    """
    Repeat a call whose response was incomplete.

    MLflow's client repeats a call without a response, but not one whose response ended early.
    """
    for attempt in range(int(os.environ.get(RETRIES, "2"))):
        try:
            return call()
        except Exception as error:
            if not is_incomplete(error):
                raise
        time.sleep(_pause_s(attempt))
    return call()


def _pause_s(attempt: int) -> float:
    """The pause of MLflow's client: none at first, then 2, 4, 8 seconds with a factor of one."""
    return float(os.environ.get(_FACTOR, "1")) * 2**attempt if attempt else 0.0


@contextmanager
def limited_retries(retries: "int | None", *, timeout_s: "int | None" = None) -> Iterator[None]:
    """Set MLflow's number of HTTP retries, and the timeout of each, while the block runs; None leaves it unchanged."""
    limits = {RETRIES: retries, TIMEOUT: timeout_s}
    before = {name: os.environ.get(name) for name in limits}
    os.environ.update({name: str(limit) for name, limit in limits.items() if limit is not None})
    try:
        yield
    finally:
        for name, value in before.items():
            if value is not None:
                os.environ[name] = value
            else:
                os.environ.pop(name, None)
