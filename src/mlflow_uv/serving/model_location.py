"""Where does the model lie, and what is it called? Each platform puts it somewhere else."""

import os
import re
from collections.abc import Mapping
from pathlib import Path

OURS = Path("/opt/model")
SAGEMAKER = Path("/opt/ml/model")
DEEPEST = 4
NAMED = re.compile(r"^(model_name|model_version): *['\"]?([^'\"\n]+?)['\"]? *$", re.MULTILINE)


class UnreadableModel(Exception):
    """What was mounted may not be read by the user that we are: one sentence."""


def model_folder(variables: Mapping[str, str], *, sagemaker: Path = SAGEMAKER, ours: Path = OURS) -> Path:
    """
    MLFLOW_UV_MODEL; else what Azure ML or SageMaker mounted, if an MLmodel is in it; else the image's own.

    A folder of Azure ML may hold the model further down: the shallowest folder with an MLmodel is taken. Raises
    Unreadable, so that nobody is answered by another model than the one that was mounted.
    """
    if said := variables.get("MLFLOW_UV_MODEL"):
        return Path(said)
    azure = variables.get("AZUREML_MODEL_DIR")
    mounted = (*((Path(azure),) if azure else ()), sagemaker)
    return next((found for place in mounted if (found := holder(place)) is not None), ours)


def holder(place: Path) -> "Path | None":
    """The shallowest folder below a place that holds an MLmodel; of several the first by name. Raises Unreadable."""
    try:
        next(place.iterdir(), None)
    except PermissionError as error:
        raise UnreadableModel(f"The model in {place} cannot be served: user {os.getuid()} may not read it.") from error
    except OSError:
        return None
    for depth in range(DEEPEST):
        found = sorted(place.glob("/".join(["*"] * depth + ["MLmodel"])))
        if found:
            return found[0].parent
    return None


def name_and_version(model: Path, variables: Mapping[str, str]) -> "tuple[str, str]":
    """What the V2 protocol calls the model: as said, else as the registry noted in the model, else `model`."""
    try:
        noted = dict(NAMED.findall((model / "registered_model_meta").read_text(encoding="utf-8")))
    except OSError:
        noted = {}
    name = variables.get("MODEL_NAME") or noted.get("model_name", "model")
    return name, variables.get("MODEL_VERSION") or noted.get("model_version", "")
