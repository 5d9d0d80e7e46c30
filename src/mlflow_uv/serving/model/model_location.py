"""Finds the model's folder, which depends on the platform, and its name and version."""

import os
import re
import stat
from collections.abc import Mapping
from pathlib import Path

IMAGE_MODEL = Path("/opt/model")
SAGEMAKER = Path("/opt/ml/model")
DEEPEST = 4
REGISTERED = "registered_model_meta"  # which MLflow writes into a model that it downloads by name
REGISTERED_LIMIT = 64 << 10  # bytes
NAMED = re.compile(r"^(model_name|model_version): *['\"]?([^'\"\n]+?)['\"]? *$", re.MULTILINE)


class UnreadableModel(Exception):
    """The model, or the file with its name and version, cannot be read; the message is one sentence."""


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
    """
    Name and version of the model, each empty if nothing says it: from the variables, else from the registry's file.

    The file is not read if both variables are set. Raises UnreadableModel.
    """
    name, version = (variables.get(variable) or "" for variable in ("MODEL_NAME", "MODEL_VERSION"))
    if name and version:
        return name, version
    registered = dict(NAMED.findall(_registered_text(model / REGISTERED)))
    return name or registered.get("model_name", ""), version or registered.get("model_version", "")


def _registered_text(path: Path) -> str:
    """The text of the registry's file; empty if there is none. Raises UnreadableModel."""
    try:
        if not stat.S_ISREG(path.stat().st_mode):  # a pipe would never end
            raise ValueError("it is not a file")
        with path.open("rb") as file:
            content = file.read(REGISTERED_LIMIT + 1)
        if len(content) > REGISTERED_LIMIT:
            raise ValueError(f"it has more than {REGISTERED_LIMIT >> 10} KB")
        return content.decode()
    except (FileNotFoundError, NotADirectoryError):
        return ""
    except (OSError, ValueError) as error:
        reason = "it is not UTF-8" if isinstance(error, UnicodeDecodeError) else getattr(error, "strerror", error)
        raise UnreadableModel(
            f"{path} cannot be read: {reason}. Remove the file, or set MODEL_NAME and MODEL_VERSION."
        ) from error
