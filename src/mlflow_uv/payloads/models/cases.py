"""Reads a model's signature and its input example from the model's files."""

import importlib
import json
from pathlib import Path
from typing import Any

import yaml

from ..messages.models import DescribeCases, DescribeSignature, ModelCases, ModelSignature
from ..problems import Problem, ProblemKind
from .strict_json import RepeatedName, strict_json


def describe(request: DescribeCases) -> ModelCases:
    """Read the model's own example as request bodies of `/invocations`, without loading the model."""
    folder = Path(request.model)
    metadata = _mlmodel(folder)
    example = metadata.get("saved_input_example_info")
    return ModelCases(
        has_signature=bool(metadata.get("signature")),
        has_example=bool(example),
        requests=(_payload(folder, example),) if example else (),
    )


def signature(request: DescribeSignature) -> ModelSignature:
    """Read a model's signature and flavors as its MLmodel file holds them."""
    metadata = _mlmodel(Path(request.model))
    flavors = metadata.get("flavors")
    return ModelSignature(
        signature=metadata.get("signature"),
        flavors={str(name): _library(name, flavor) for name, flavor in flavors.items()}
        if isinstance(flavors, dict)
        else {},
    )


def _library(name: Any, flavor: Any) -> str:
    """The version of a flavor's library, which its entry calls `NAME_version`, some `xgb_version` and the like."""
    entries = flavor if isinstance(flavor, dict) else {}
    versions = [
        str(value) for key, value in entries.items() if str(key).endswith("_version") and key != "python_version"
    ]
    return str(entries.get(f"{name}_version") or (versions[0] if len(versions) == 1 else ""))


def _mlmodel(folder: Path) -> dict[str, Any]:
    if not (folder / "MLmodel").is_file():
        raise Problem(ProblemKind.INVALID, f"`{folder.name}` is not an MLflow model: it has no MLmodel file")
    metadata: dict[str, Any] = yaml.safe_load((folder / "MLmodel").read_text(encoding="utf-8"))
    return metadata


def _payload(folder: Path, example: dict[str, Any]) -> Any:
    """The serving input that MLflow saved with the example; for older models, computed from the example."""
    saved = folder / example.get("serving_input_path", "serving_input_example.json")
    if saved.is_file():
        try:
            return strict_json(saved.read_text(encoding="utf-8"))
        except RepeatedName as error:
            raise Problem(ProblemKind.INVALID, f"the input example `{saved.name}` is ambiguous: {error}") from error
    models = importlib.import_module("mlflow.models")
    loaded = models.Model.load(str(folder)).load_input_example(str(folder))
    return json.loads(models.convert_input_example_to_serving_input(loaded))
