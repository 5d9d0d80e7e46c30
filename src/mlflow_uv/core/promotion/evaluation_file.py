"""Writes the result of an evaluation as a file, and validates such a file as untrusted input."""

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from typing import Any

from ...command.lazy_pattern import lazy_pattern
from ...payloads.messages.evaluation import EvaluatedModel, FoundEvaluation
from ...payloads.messages.lazy_dataclass import lazy_dataclass
from ...payloads.messages.tags import (
    DATA_DIGEST,
    EVALUATION_DATA,
    EVALUATION_MODEL_TYPE,
    EVALUATION_SETTINGS,
    EVALUATION_TARGET,
)
from ..security.documents import parse_json

SCHEMA = 1
LIMIT = 1 << 20  # bytes of a file that are read
_TAGS = frozenset({EVALUATION_DATA, EVALUATION_TARGET, EVALUATION_MODEL_TYPE, DATA_DIGEST, EVALUATION_SETTINGS})
_MODELS, _METRICS = 2, 1000
_LINE = lazy_pattern(r"[^\x00-\x1f\x7f]{1,1000}")
_DIGEST = lazy_pattern(r"[0-9a-f]{64}")
_ID = lazy_pattern(r"[0-9a-f]{32}")
_METRIC = lazy_pattern(r"[\w./ @-]{1,250}")  # what MLflow accepts


@lazy_dataclass
class ModelResult:
    """The digest of a model's files (hex), and its metrics."""

    sha256: str
    metrics: Mapping[str, float]


@lazy_dataclass
class EvaluationFile:
    """
    One evaluation: its id, the registered model, the tags of its runs, and the result of each version.

    The keys of `models` are ids of logged models, or `models:/NAME/VERSION` for a version without one.
    """

    id: str
    model_name: str
    tags: Mapping[str, str]
    models: Mapping[str, ModelResult]

    def to_json(self) -> str:
        """The content of the file; the same evaluation gives the same bytes."""
        return json.dumps({"schema": SCHEMA, **asdict(self)}, indent=2, sort_keys=True) + "\n"

    def lookup(self, ids: Iterable[str], tags: Mapping[str, str]) -> FoundEvaluation:
        """What the verb `find-evaluation` would find in a store that has only this evaluation, without runs."""
        wanted = tuple(dict.fromkeys(ids))
        if not set(wanted) <= self.models.keys() or not tags.items() <= self.tags.items():
            return FoundEvaluation()
        models = {
            name: EvaluatedModel(
                run_id="", model_sha256=self.models[name].sha256, metrics=dict(self.models[name].metrics)
            )
            for name in wanted
        }
        return FoundEvaluation(
            evaluation=self.id, data_sha256=self.tags[DATA_DIGEST], tags=dict(self.tags), models=models
        )


def read_evaluation(data: bytes) -> EvaluationFile:
    """Parse an evaluation file. Raises ValueError, whose message never repeats text of the file."""
    if len(data) > LIMIT:
        raise ValueError(f"it is larger than {LIMIT} bytes")
    try:
        raw = parse_json(data)
    except ValueError as error:
        raise ValueError("it is not JSON") from error
    if not isinstance(raw, dict) or raw.keys() != {"schema", "id", "model_name", "tags", "models"}:
        raise ValueError("it does not have the parts of an evaluation")
    if raw["schema"] != SCHEMA:
        raise ValueError(f"it is not an evaluation of schema {SCHEMA}")
    tags = _mapping(raw["tags"], "tags", most=len(_TAGS))
    if not tags.keys() <= _TAGS:
        raise ValueError("it has unknown tags")
    models = _mapping(raw["models"], "models", most=_MODELS)
    evaluation = EvaluationFile(
        id=_text(raw["id"], "id", _ID),
        model_name=_text(raw["model_name"], "model_name", _LINE),
        tags={name: _text(value, "tags", _LINE) for name, value in tags.items()},
        models={_text(name, "models", _LINE): _result(value) for name, value in models.items()},
    )
    _text(evaluation.tags.get(DATA_DIGEST), DATA_DIGEST, _DIGEST)
    return evaluation


def _result(raw: object) -> ModelResult:
    parts = _mapping(raw, "models", most=2)
    if parts.keys() != {"sha256", "metrics"}:
        raise ValueError("its `models` have other parts than `sha256` and `metrics`")
    return ModelResult(sha256=_text(parts["sha256"], "sha256", _DIGEST), metrics=read_metrics(parts["metrics"]))


def read_metrics(raw: object) -> dict[str, float]:
    """Validate untrusted metrics. Raises ValueError, whose message never repeats their text."""
    metrics = _mapping(raw, "metrics", most=_METRICS)
    return {_text(name, "metrics", _METRIC): _number(value) for name, value in metrics.items()}


def _mapping(raw: object, part: str, *, most: int) -> dict[str, Any]:
    if not isinstance(raw, dict) or len(raw) > most:
        raise ValueError(f"its `{part}` is not an object of at most {most} parts")
    return raw


def _text(raw: object, part: str, pattern: re.Pattern[str]) -> str:
    if not isinstance(raw, str) or not pattern.fullmatch(raw):
        raise ValueError(f"its `{part}` has an invalid value")
    return raw


def _number(raw: object) -> float:
    try:
        if isinstance(raw, (int, float)) and not isinstance(raw, bool):
            return float(raw)
    except OverflowError:
        pass
    raise ValueError("its `metrics` has a value that is not a number")
