"""Says which MLflow a release can use."""

from collections.abc import Iterable

from ..errors import BadProject, ToolMissing
from ..wording import Wording, option
from .modelfiles import SERVERS
from .requirements import Requirements

OLDEST_MLFLOW = (2, 20)


def require_server(requirements: Requirements) -> None:
    """Refuse a selection with which no model can be loaded. Raises BadProject."""
    if not {pin.name for pin in requirements.pins} & SERVERS:
        raise BadProject(
            what="the served selection has no MLflow",
            why="mlflow is in a group or extra that is not served, so nothing could load the model",
            fix=Wording("uv add mlflow, or name its group with ", option("groups", "NAMES")),
        )


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
