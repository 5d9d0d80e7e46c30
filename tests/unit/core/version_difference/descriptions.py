"""Descriptions of two versions of one model, which differ in all that is compared."""

from dataclasses import replace
from typing import Any

from mlflow_uv.core.model.answers import answers_digest
from mlflow_uv.core.version_difference.description import AnswerSummary, MetricSet, VersionDescription


def answer(number: int, value: Any, *, status: int = 200) -> AnswerSummary:
    """The answer to the recorded request of this number."""
    return AnswerSummary(
        name=f"recorded request {number}",
        request=answers_digest(number),
        status=status,
        sha256=answers_digest(value),
        answer=value,
    )


def signature(*columns: str) -> dict[str, Any]:
    """A signature with these inputs."""
    return {"inputs": [{"name": name, "type": "double", "required": True} for name in columns]}


DATA = "d" * 64
CHAMPION = VersionDescription(
    model_name="wine",
    version="3",
    state="promoted",
    served_by="image",
    commit="c" * 40,
    model_sha256="1" * 64,
    lock_sha256="2" * 64,
    requirements_sha256="3" * 64,
    signature=signature("sugar"),
    packages={"numpy": "2.3.5", "mlflow": "3.7.0"},
    evaluation=MetricSet(metrics={"accuracy": 0.97, "loss": 0.5}, data=(DATA,), settings="s"),
    training=MetricSet(metrics={"rmse": 0.7}, data=("training 0123",)),
    answers=(answer(1, {"predictions": [0.5]}), answer(2, {"predictions": ["red"]}), answer(3, None, status=400)),
)
VERSION = replace(
    CHAMPION,
    version="1",
    state="tested",
    commit="d" * 40,
    pull_request=3,
    head_of_pull_request="b" * 40,
    signature=signature("sugar", "acid"),
    requirements_sha256="4" * 64,
    packages={"numpy": "2.4.1", "mlflow": "3.7.0"},
    evaluation=MetricSet(metrics={"accuracy": 0.98, "loss": 0.5}, data=(DATA,), settings="s"),
    answers=(answer(1, {"predictions": [0.75]}), answer(2, {"predictions": ["red"]}), answer(3, None, status=400)),
)
