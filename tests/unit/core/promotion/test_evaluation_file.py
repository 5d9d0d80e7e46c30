"""What of a file of an evaluation is believed, whoever wrote it."""

import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlflow_uv.core.promotion.evaluation_file import (
    LIMIT,
    EvaluationFile,
    ModelResult,
    read_evaluation,
)
from mlflow_uv.payloads.messages.evaluation import EvaluatedModel
from mlflow_uv.payloads.messages.tags import DATA_DIGEST, EVALUATION_DATA, EVALUATION_SETTINGS, EVALUATION_TARGET

MINE, THEIRS = "m-1", "models:/wine/1"
TAGS = {
    DATA_DIGEST: "d" * 64,
    EVALUATION_SETTINGS: "e" * 64,
    EVALUATION_DATA: "file unseen.csv",
    EVALUATION_TARGET: "y",
}
CANARY = "canary-8c1f4be2"
DIGESTS = st.text("0123456789abcdef", min_size=64, max_size=64)
LINES = st.text(st.characters(exclude_categories=("Cs", "Cc")), min_size=1, max_size=50)
METRICS = st.dictionaries(st.text("abz_/. -@09", min_size=1, max_size=20), st.floats(allow_nan=False), max_size=5)
RESULTS = st.builds(ModelResult, sha256=DIGESTS, metrics=METRICS)


def evaluation(**parts: Any) -> EvaluationFile:
    """One of both versions."""
    models = {MINE: ModelResult(sha256="a" * 64, metrics={"accuracy": 0.9})}
    models[THEIRS] = ModelResult(sha256="b" * 64, metrics={"accuracy": 0.8})
    return EvaluationFile(**{"id": "f" * 32, "model_name": "wine", "tags": TAGS, "models": models, **parts})


@given(st.dictionaries(LINES, RESULTS, max_size=2), LINES)
def test_what_was_written_is_read(models: dict[str, ModelResult], name: str) -> None:
    """
    The same evaluation comes back, and its file is the same again.
    """
    written = evaluation(models=models, model_name=name)

    read = read_evaluation(written.to_json().encode())

    assert (written, written.to_json()) == (read, read.to_json())


def test_a_metric_that_is_no_finite_number_stays_one() -> None:
    """
    A model may have none for a class that no row has; the gates refuse it, not the file.
    """
    models = {MINE: ModelResult(sha256="a" * 64, metrics={"roc_auc": math.nan, "worst": math.inf})}

    metrics = read_evaluation(evaluation(models=models).to_json().encode()).models[MINE].metrics

    assert (True, math.inf) == (math.isnan(metrics["roc_auc"]), metrics["worst"])


def test_it_answers_as_a_store_would() -> None:
    """
    For one of its models or both, asked what it was asked; nothing for any other model or question.
    """
    file = evaluation()

    both = file.lookup([MINE, THEIRS], {EVALUATION_DATA: "file unseen.csv"})
    others = (file.lookup([MINE, "m-2"], {}), file.lookup([MINE], {EVALUATION_DATA: "file other.csv"}))

    assert (file.id, "d" * 64, TAGS) == (both.evaluation, both.data_sha256, both.tags)
    assert EvaluatedModel(run_id="", model_sha256="b" * 64, metrics={"accuracy": 0.8}) == both.models[THEIRS]
    assert [(None, {})] * 2 == [(found.evaluation, found.models) for found in others]


def altered(path: str, value: Any) -> bytes:
    """The file with something else at a place in it."""
    raw = json.loads(evaluation().to_json())
    *folders, name = path.split(".")
    place = raw
    for folder in folders:
        place = place[folder]
    place[name] = value
    return json.dumps(raw).encode()


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xff",
        b"[" * 100_000,
        b"[]",
        b" " * (LIMIT + 1),
        altered("schema", 2),
        altered("more", CANARY),
        altered("id", CANARY),
        altered("id", ["f" * 32]),
        altered("model_name", f"wine\n::error::{CANARY}"),
        altered("tags", [CANARY]),
        altered("tags", {**TAGS, "mlflow-uv.state": "promoted"}),
        altered("tags", {EVALUATION_DATA: "file unseen.csv"}),
        altered("models.m-2", {"sha256": "a" * 64, "metrics": {}}),
        altered("models.m-1", {"sha256": CANARY, "metrics": {}}),
        altered("models.m-1", {"sha256": "a" * 64, "metrics": {}, "tags": {}}),
        altered("models.m-1.metrics", {f"`{CANARY}`": 1.0}),
        altered("models.m-1.metrics.accuracy", "1.0"),
        altered("models.m-1.metrics.accuracy", "true"),
        altered("models.m-1.metrics.accuracy", 10**400),
        altered("models.m-1.metrics", {f"m{number}": 1 for number in range(1001)}),
    ],
)
def test_what_no_evaluation_is_is_refused_and_not_repeated(data: bytes) -> None:
    """
    Anything but the parts that are known, each of its kind and size; no word of it is in the message.
    """
    with pytest.raises(ValueError, match=r"^it") as caught:
        read_evaluation(data)

    assert CANARY not in str(caught.value)
