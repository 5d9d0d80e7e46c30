"""Describes this interpreter: Python, MLflow and the database schema of MLflow."""

import platform
import re
import sys
from collections.abc import Iterable
from importlib import metadata
from pathlib import Path

from .distributions import version_of
from .messages.request import DescribeEnvironment, EnvironmentDescription

# MLflow's database migrations, and the lines with a migration's revision and its predecessors.
_MIGRATIONS = "mlflow/store/db_migrations/versions/*.py"
_REVISION = re.compile(r"""^revision\b[^=\n]*=\s*['"]([^'"]+)['"]""", re.MULTILINE)
_BEFORE = re.compile(r"""^down_revision\b[^=\n]*=(.*)$""", re.MULTILINE)
_QUOTED = re.compile(r"""['"]([^'"]+)['"]""")


def describe(_request: DescribeEnvironment) -> EnvironmentDescription:
    """Describe this environment without importing mlflow, which may be missing or broken."""
    full, skinny = _version("mlflow"), _version("mlflow-skinny")
    return EnvironmentDescription(
        python=platform.python_version(),
        python_executable=sys.executable,
        mlflow=full or skinny,
        mlflow_flavor="full" if full else "skinny" if skinny else None,
        mlflow_schema=schema(map(Path, sys.path)),
        platform=platform.platform(),
    )


def schema(folders: Iterable[Path]) -> "str | None":
    """The newest database revision of the MLflow in the first of these folders that has one; None without MLflow."""
    for folder in folders:
        revisions: set[str] = set()
        before: set[str] = set()
        for file in folder.glob(_MIGRATIONS):
            text = file.read_text(encoding="utf-8")
            revisions.update(_REVISION.findall(text))
            before.update(name for line in _BEFORE.findall(text) for name in _QUOTED.findall(line))
        if revisions:
            return ",".join(sorted(revisions - before))
    return None


def _version(distribution: str) -> str | None:
    try:
        return version_of(distribution)
    except metadata.PackageNotFoundError:
        return None
