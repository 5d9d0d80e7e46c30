"""Finds the model's folder, which depends on the platform, and its name and version."""

import os
import re
from collections.abc import Mapping
from pathlib import Path

IMAGE_MODEL = Path("/opt/model")
SAGEMAKER = Path("/opt/ml/model")
DEEPEST = 4
NAMED = re.compile(r"^(model_name|model_version): *['\"]?([^'\"\n]+?)['\"]? *$", re.MULTILINE)


class UnreadableModel(Exception):
    """The server's user has no permission to read the mounted model; the message is one sentence."""


def model_folder(variables: Mapping[str, str], *, sagemaker: Path = SAGEMAKER, image: Path = IMAGE_MODEL) -> Path:
    """
    The folder of MLFLOW_UV_MODEL; else what Azure ML or SageMaker mounted, if it has an MLmodel; else the image's own.

    A folder of Azure ML may hold the model in a subfolder: the shallowest folder with an MLmodel is used. Raises
    UnreadableModel, so that the image's own model is never served in place of a mounted one.
    """
    if explicit := variables.get("MLFLOW_UV_MODEL"):
        return Path(explicit)
    azure = variables.get("AZUREML_MODEL_DIR")
    mounted = (*((Path(azure),) if azure else ()), sagemaker)
    return next((folder for root in mounted if (folder := find_mlmodel(root)) is not None), image)


def find_mlmodel(root: Path) -> "Path | None":
    """The shallowest folder below `root` with an MLmodel; of several the first by name. Raises UnreadableModel."""
    try:
        next(root.iterdir(), None)
    except PermissionError as error:
        raise UnreadableModel(
            f"The model in {root} cannot be served: user {os.getuid()} has no permission to read it."
        ) from error
    except OSError:
        return None
    for depth in range(DEEPEST):
        files = sorted(root.glob("/".join(["*"] * depth + ["MLmodel"])))
        if files:
            return files[0].parent
    return None


def name_and_version(model: Path, variables: Mapping[str, str]) -> "tuple[str, str]":
    """Name and version in the V2 protocol: from the variables, else from the registry's file in the model."""
    try:
        registered = dict(NAMED.findall((model / "registered_model_meta").read_text(encoding="utf-8")))
    except OSError:
        registered = {}
    name = variables.get("MODEL_NAME") or registered.get("model_name", "model")
    return name, variables.get("MODEL_VERSION") or registered.get("model_version", "")
