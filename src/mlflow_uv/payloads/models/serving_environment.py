"""Loads and runs a model as MLflow's server does, but without traces; some flavors answer differently elsewhere."""

import importlib
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from ..problems import Problem, ProblemKind, last_line

_IN_SERVING = "_MLFLOW_IS_IN_SERVING_ENVIRONMENT"


@contextmanager
def serving_environment() -> Iterator[None]:
    """Mark this process as a server while the block runs."""
    before = os.environ.get(_IN_SERVING)
    os.environ[_IN_SERVING] = "true"
    try:
        yield
    finally:
        if before is None:
            del os.environ[_IN_SERVING]
        else:
            os.environ[_IN_SERVING] = before


def load_untraced(load: "Callable[[str], Any]", folder: str) -> Any:
    """
    Load a model with tracing disabled: no request reaches a store, even if the model's code configures one.

    `load` is a function of MLflow that takes a folder. Raises Problem of the kind cannot-load.
    """
    tracing = importlib.import_module("mlflow").tracing
    tracing.disable()
    try:
        model = load(folder)
    except (Exception, SystemExit) as error:  # a model's code may raise anything
        raise Problem(ProblemKind.CANNOT_LOAD, f"the model cannot be loaded: {last_line(error)}") from error
    tracing.disable()  # the model's code may have enabled it
    return model
