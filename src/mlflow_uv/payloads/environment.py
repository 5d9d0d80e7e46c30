"""Which Python and which MLflow would answer here?"""

import platform
import sys
from importlib import metadata
from typing import Any


def describe(_request: dict[str, Any]) -> dict[str, Any]:
    """Answer without importing mlflow, so that an environment without it, or with a broken one, can be described."""
    full, skinny = _version("mlflow"), _version("mlflow-skinny")
    return {
        "python": platform.python_version(),
        "python_executable": sys.executable,
        "mlflow": full or skinny,
        "mlflow_flavor": "full" if full else "skinny" if skinny else None,
        "platform": platform.platform(),
    }


def _version(distribution: str) -> str | None:
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return None
