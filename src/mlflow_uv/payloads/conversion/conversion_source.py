"""Reads what every conversion starts from and leaves: a model's signature, its requests, and generated ones."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from .native_models import Inconvertible
from .refusing import refusing
from .request_frames import frames_of


def require_signature(schema: Any, operator: str) -> None:
    """Raise Inconvertible without inputs of a signature, or without a signature."""
    if schema is None or not schema.inputs:
        raise Inconvertible(operator, "the model has no signature, which names and types its inputs")


def answered_frames(folder: str, requests: "Sequence[str]", operator: str) -> "list[Any]":
    """The tables of the requests that a model can read. Raises Inconvertible without one."""
    frames = frames_of(folder, requests)
    if not frames:
        raise Inconvertible(operator, "none of the recorded requests is answered by the model")
    return frames


def write_sample(destination: Path, operator: str, generate: "Callable[[], Sequence[Any]]") -> None:
    """Write generated requests where the comparison reads them. Raises Inconvertible if there can be none."""
    with refusing(operator):
        requests = generate()
    (destination / "sample.json").write_text(json.dumps(requests), encoding="utf-8")
