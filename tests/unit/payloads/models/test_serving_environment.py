"""The mark of a process that answers as MLflow's server."""

import os

from mlflow_uv.payloads.models.serving_environment import serving_environment

MARK = "_MLFLOW_IS_IN_SERVING_ENVIRONMENT"


def test_the_mark_is_set_while_the_block_runs() -> None:
    """
    And what was there before is there afterwards.
    """
    with serving_environment():
        during = os.environ[MARK]
    without = os.environ.get(MARK)
    os.environ[MARK] = "before"
    with serving_environment():
        pass

    assert ("true", None, "before") == (during, without, os.environ[MARK])
