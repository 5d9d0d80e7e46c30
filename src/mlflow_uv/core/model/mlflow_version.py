"""Checks that the project's MLflow is new enough for a release."""

from collections.abc import Iterable

from ...command.errors import ToolMissing

OLDEST_MLFLOW = (2, 20)


def require_logging(versions: Iterable[str | None]) -> None:
    """Require MLflow 2.20 or newer, for logging models. None is a missing MLflow. Raises ToolMissing."""
    oldest = ".".join(map(str, OLDEST_MLFLOW))
    for version in versions:
        if version is None or tuple(map(int, version.split(".")[:2])) < OLDEST_MLFLOW:
            raise ToolMissing(
                what=f"the project's MLflow is {version or 'missing'}",
                why=f"logging needs MLflow {oldest} or newer",
                fix=f"uv add 'mlflow>={oldest}'",
            )
