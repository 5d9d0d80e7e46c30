"""The result of an evaluation as a file, which whoever reads it takes for a stranger's."""

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from ..security.documents import parse_json
from .evaluation import DATA, MODEL_TYPE, TARGET

SCHEMA = 1
LIMIT = 1 << 20  # bytes of a file that are read
DATA_DIGEST = "mlflow-uv.data-sha256"
SETTINGS = "mlflow-uv.evaluation-settings"
_TAGS = frozenset({DATA, TARGET, MODEL_TYPE, DATA_DIGEST, SETTINGS})
_MODELS, _METRICS = 2, 1000
_LINE = re.compile(r"[^\x00-\x1f\x7f]{1,1000}")
_DIGEST = re.compile(r"[0-9a-f]{64}")
_ID = re.compile(r"[0-9a-f]{32}")
_METRIC = re.compile(r"[\w./ @-]{1,250}")  # what MLflow accepts


@dataclass(frozen=True, kw_only=True, slots=True)
class ModelResult:
    """The digest of a model's files, and what was measured of it."""

    sha256: str
    metrics: Mapping[str, float]


@dataclass(frozen=True, kw_only=True, slots=True)
class EvaluationFile:
    """
    One evaluation: its id, the registered model, the tags of its runs, and the result of each version.

    `models` has a logged model's id, or `models:/NAME/VERSION` of a version that has none.
    """

    id: str
    model_name: str
    tags: Mapping[str, str]
    models: Mapping[str, ModelResult]

    def to_json(self) -> str:
        """The file, the same bytes for the same evaluation."""
        return json.dumps({"schema": SCHEMA, **asdict(self)}, indent=2, sort_keys=True) + "\n"

    def found(self, ids: Iterable[str], tags: Mapping[str, str]) -> dict[str, Any]:
        """The same as the payload `find-evaluation` of a store that has this evaluation alone."""
        wanted = tuple(dict.fromkeys(ids))
        if not set(wanted) <= self.models.keys() or not tags.items() <= self.tags.items():
            return {"evaluation": None, "data_sha256": None, "tags": {}, "models": {}}
        models = {
            name: {"model_sha256": self.models[name].sha256, "metrics": dict(self.models[name].metrics)}
            for name in wanted
        }
        return {
            "evaluation": self.id,
            "data_sha256": self.tags[DATA_DIGEST],
            "tags": dict(self.tags),
            "models": models,
        }


def read_evaluation(data: bytes) -> EvaluationFile:
    """The evaluation in a file. Raises ValueError that says what does not fit; of its text nothing is repeated."""
    if len(data) > LIMIT:
        raise ValueError(f"it is larger than {LIMIT} bytes")
    try:
        raw = parse_json(data)
    except ValueError as error:
        raise ValueError("it is not JSON") from error
    if not isinstance(raw, dict) or raw.keys() != {"schema", "id", "model_name", "tags", "models"}:
        raise ValueError("it has not the parts of an evaluation")
    if raw["schema"] != SCHEMA:
        raise ValueError(f"it is not an evaluation of schema {SCHEMA}")
    tags = _mapping(raw["tags"], "tags", most=len(_TAGS))
    if not tags.keys() <= _TAGS:
        raise ValueError("it has tags that no evaluation has")
    models = _mapping(raw["models"], "models", most=_MODELS)
    found = EvaluationFile(
        id=_text(raw["id"], "id", _ID),
        model_name=_text(raw["model_name"], "model_name", _LINE),
        tags={name: _text(value, "tags", _LINE) for name, value in tags.items()},
        models={_text(name, "models", _LINE): _result(value) for name, value in models.items()},
    )
    _text(found.tags.get(DATA_DIGEST), DATA_DIGEST, _DIGEST)
    return found


def _result(raw: object) -> ModelResult:
    parts = _mapping(raw, "models", most=2)
    if parts.keys() != {"sha256", "metrics"}:
        raise ValueError("its `models` have other parts than `sha256` and `metrics`")
    return ModelResult(sha256=_text(parts["sha256"], "sha256", _DIGEST), metrics=read_metrics(parts["metrics"]))


def read_metrics(raw: object) -> dict[str, float]:
    """Metrics that a stranger says. Raises ValueError that says what does not fit."""
    metrics = _mapping(raw, "metrics", most=_METRICS)
    return {_text(name, "metrics", _METRIC): _number(value) for name, value in metrics.items()}


def _mapping(raw: object, part: str, *, most: int) -> dict[str, Any]:
    if not isinstance(raw, dict) or len(raw) > most:
        raise ValueError(f"its `{part}` is not an object of at most {most} parts")
    return raw


def _text(raw: object, part: str, pattern: re.Pattern[str]) -> str:
    if not isinstance(raw, str) or not pattern.fullmatch(raw):
        raise ValueError(f"its `{part}` holds what cannot be there")
    return raw


def _number(raw: object) -> float:
    try:
        if isinstance(raw, (int, float)) and not isinstance(raw, bool):
            return float(raw)
    except OverflowError:
        pass
    raise ValueError("its `metrics` holds what is no number")
