"""Which requests does a model bring along to be asked with?"""

import importlib
import json
from pathlib import Path
from typing import Any

import yaml

from .problems import Problem, ProblemKind


def describe(request: dict[str, Any]) -> dict[str, Any]:
    """
    Read the model's own example as payloads for `/invocations`, without loading the model.

    {model: folder} -> {has_signature, has_example, requests: [payload]}
    """
    folder = Path(request["model"])
    said = _said(folder)
    example = said.get("saved_input_example_info")
    return {
        "has_signature": bool(said.get("signature")),
        "has_example": bool(example),
        "requests": [_payload(folder, example)] if example else [],
    }


def signature(request: dict[str, Any]) -> dict[str, Any]:
    """Read a model's signature as its MLmodel file holds it: {model: folder} -> {signature: object or None}."""
    return {"signature": _said(Path(request["model"])).get("signature")}


def _said(folder: Path) -> dict[str, Any]:
    if not (folder / "MLmodel").is_file():
        raise Problem(ProblemKind.INVALID, f"`{folder.name}` is no MLflow model: it holds no MLmodel")
    said: dict[str, Any] = yaml.safe_load((folder / "MLmodel").read_text(encoding="utf-8"))
    return said


def _payload(folder: Path, example: dict[str, Any]) -> Any:
    """What MLflow wrote next to the example, or, for models from before it did, what it would write."""
    written = folder / example.get("serving_input_path", "serving_input_example.json")
    if written.is_file():
        return json.loads(written.read_text(encoding="utf-8"))
    models = importlib.import_module("mlflow.models")
    loaded = models.Model.load(str(folder)).load_input_example(str(folder))
    return json.loads(models.convert_input_example_to_serving_input(loaded))
