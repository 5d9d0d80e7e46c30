"""Describes this interpreter: Python, MLflow and the database schema of MLflow."""

import platform
import sys
from importlib import metadata
from pathlib import Path

from .distributions import version_of
from .messages.database_schema import newest_revision
from .messages.request import DescribeEnvironment, EnvironmentDescription


def describe(_request: DescribeEnvironment) -> EnvironmentDescription:
    """Describe this environment without importing mlflow, which may be missing or broken."""
    full, skinny = _version("mlflow"), _version("mlflow-skinny")
    return EnvironmentDescription(
        python=platform.python_version(),
        python_executable=sys.executable,
        mlflow=full or skinny,
        mlflow_flavor="full" if full else "skinny" if skinny else None,
        mlflow_schema=newest_revision(map(Path, sys.path)),
        platform=platform.platform(),
    )


def _version(distribution: str) -> str | None:
    try:
        return version_of(distribution)
    except metadata.PackageNotFoundError:
        return None
