"""Which Python and which MLflow would answer here?"""

import platform
import re
import sys
from collections.abc import Iterable
from importlib import metadata
from pathlib import Path
from typing import Any

# Where MLflow keeps the migrations of its database, and how each says what it is and what it comes after.
_MIGRATIONS = "mlflow/store/db_migrations/versions/*.py"
_REVISION = re.compile(r"""^revision\b[^=\n]*=\s*['"]([^'"]+)['"]""", re.MULTILINE)
_BEFORE = re.compile(r"""^down_revision\b[^=\n]*=(.*)$""", re.MULTILINE)
_QUOTED = re.compile(r"""['"]([^'"]+)['"]""")


def describe(_request: dict[str, Any]) -> dict[str, Any]:
    """Answer without importing mlflow, so that an environment without it, or with a broken one, can be described."""
    full, skinny = _version("mlflow"), _version("mlflow-skinny")
    return {
        "python": platform.python_version(),
        "python_executable": sys.executable,
        "mlflow": full or skinny,
        "mlflow_flavor": "full" if full else "skinny" if skinny else None,
        "mlflow_schema": schema(map(Path, sys.path)),
        "platform": platform.platform(),
    }


def schema(folders: Iterable[Path]) -> "str | None":
    """The newest revision of the database that the MLflow in one of these folders makes; None without an MLflow."""
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
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return None
