"""What an interpreter has is described without importing it."""

import platform
import sys

from mlflow_uv.payloads import environment
from mlflow_uv.payloads.messages.request import DescribeEnvironment


def test_an_environment_without_mlflow_is_described() -> None:
    """
    The tests run in one.
    """
    found = environment.describe(DescribeEnvironment())

    assert (platform.python_version(), sys.executable, None) == (found.python, found.python_executable, found.mlflow)
    assert (None, None) == (found.mlflow_flavor, found.mlflow_schema)
