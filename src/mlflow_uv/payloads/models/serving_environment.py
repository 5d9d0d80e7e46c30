"""Sets what MLflow's server sets before it answers; some flavors answer differently without it."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

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
