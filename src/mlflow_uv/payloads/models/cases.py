"""Reads a model's signature and its input example from the model's files."""

import importlib
import json
from pathlib import Path
from typing import Any

import yaml

from ..messages.models import DescribeCases, DescribeSignature, ModelCases, ModelSignature
from ..problems import Problem, ProblemKind


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
    """Read a model's signature as its MLmodel file holds it."""
    return ModelSignature(signature=_mlmodel(Path(request.model)).get("signature"))


def _mlmodel(folder: Path) -> dict[str, Any]:
    if not (folder / "MLmodel").is_file():
        raise Problem(ProblemKind.INVALID, f"`{folder.name}` is not an MLflow model: it has no MLmodel file")
    metadata: dict[str, Any] = yaml.safe_load((folder / "MLmodel").read_text(encoding="utf-8"))
    return metadata


def _payload(folder: Path, example: dict[str, Any]) -> Any:
    """The serving input that MLflow saved with the example; for older models, computed from the example."""
    saved = folder / example.get("serving_input_path", "serving_input_example.json")
    if saved.is_file():
        return json.loads(saved.read_text(encoding="utf-8"))
    models = importlib.import_module("mlflow.models")
    loaded = models.Model.load(str(folder)).load_input_example(str(folder))
    return json.loads(models.convert_input_example_to_serving_input(loaded))
