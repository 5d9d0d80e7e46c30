"""Says which MLflow a release can use."""

from collections.abc import Iterable

from ...command.errors import ToolMissing

OLDEST_MLFLOW = (2, 20)


def require_logging(versions: Iterable[str | None]) -> None:
    """Refuse an MLflow that cannot log a model as we need it. Raises ToolMissing."""
    oldest = ".".join(map(str, OLDEST_MLFLOW))
    for version in versions:
        if version is None or tuple(map(int, version.split(".")[:2])) < OLDEST_MLFLOW:
            raise ToolMissing(
                what=f"the project's MLflow is {version or 'missing'}",
                why=f"logging needs MLflow {oldest} or newer",
                fix=f"uv add 'mlflow>={oldest}'",
            )
