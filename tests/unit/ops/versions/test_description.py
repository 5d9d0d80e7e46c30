"""A version is described from its files, its tags and its runs."""

import json
import math
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from mlflow_uv.command.errors import BadInput, ToolFailed
from mlflow_uv.core.model.model_files import ANSWERS, CASES, REQUIREMENTS
from mlflow_uv.core.version_difference.description import MetricSet, VersionDescription
from mlflow_uv.core.version_difference.document import description_document
from mlflow_uv.ops.lineage.registry_client import RegistryClient
from mlflow_uv.ops.versions.description import describe_for_comparison
from mlflow_uv.payloads.messages.evaluation import EvaluatedModel, FoundEvaluation
from mlflow_uv.payloads.messages.models import ModelSignature
from mlflow_uv.payloads.messages.tags import EVALUATION_SETTINGS, LOCK_DIGEST, MODEL_DIGEST, STATE
from tests.messages import RUN, VERSION
from tests.unit.core.release.test_record import WHOLE

FILES = {
    REQUIREMENTS: "numpy==2.4.1\n",
    CASES: json.dumps([{"inputs": [1]}]),
    ANSWERS: json.dumps([{"predictions": [2]}]),
}
SIGNATURE = {"inputs": json.dumps([{"name": "sugar", "type": "double"}]), "outputs": None}
DIGEST = "a" * 64
TAGS = {STATE: "tested", MODEL_DIGEST: DIGEST, LOCK_DIGEST: "b" * 64}


def described(
    *,
    files: Mapping[str, str] = FILES,
    evaluated: str = DIGEST,
    signature: Any = SIGNATURE,
    variables: Mapping[str, str] | None = None,
    secrets: tuple[str, ...] = (),
    with_answers: bool = True,
    **client: Any,
) -> VersionDescription:
    """The version, which has these files, tags and an evaluation of files with this digest."""

    def download(_version: object, folder: Path, **_files: object) -> None:
        for name, text in files.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(text)

    model = EvaluatedModel(run_id="e", model_sha256=evaluated, metrics={"accuracy": 0.5, "worst": 1.8e308})
    found = FoundEvaluation(
        evaluation="e", data_sha256="d" * 64, tags={EVALUATION_SETTINGS: "s"}, models={"m-1": model}
    )
    asked = {
        "describe_version": lambda *_: replace(VERSION, tags=TAGS),
        "download_version": download,
        "download_record": lambda *_, **__: None,
        "describe_signature": lambda _: ModelSignature(signature=signature),
        "find_evaluation": lambda *_: found,
        "describe_run": lambda _: RUN,
    }
    record = replace(WHOLE, answers=None, model=replace(WHOLE.model, sha256=DIGEST))
    tools = SimpleNamespace(
        host=SimpleNamespace(variables=variables or {}),
        records=SimpleNamespace(load=lambda _: record),
        secrets=secrets,
    )
    registry = SimpleNamespace(client=SimpleNamespace(**{**asked, **client}), tools=tools)
    return describe_for_comparison(
        cast("RegistryClient", registry), name="wine", version="1", with_answers=with_answers
    )


def test_a_version_is_described_with_all_that_is_compared() -> None:
    """
    Metrics with their data, answers, signature, packages and digests; infinity is not the number that stands for it.
    """
    version = described()

    assert ("tested", DIGEST, "b" * 64, "") == (
        version.state,
        version.model_sha256,
        version.lock_sha256,
        version.requirements_sha256,
    )
    assert version.evaluation == MetricSet(metrics={"accuracy": 0.5, "worst": math.inf}, data=("d" * 64,), settings="s")
    assert version.training == MetricSet(metrics={"rmse": 0.5}, data=("training 1a2b",))
    assert ({"numpy": "2.4.1"}, ({"predictions": [2]},)) == (
        version.packages,
        tuple(answer.answer for answer in version.answers),
    )
    assert {"inputs": [{"name": "sugar", "type": "double"}]} == version.signature
    assert (0, "") == (version.pull_request, version.head_of_pull_request)


def test_the_workflow_of_a_pull_request_is_named(tmp_path: Path) -> None:
    """
    With its number and the commit that its author pushed.
    """
    event = tmp_path / "event.json"
    event.write_text(json.dumps({"pull_request": {"number": 3, "head": {"sha": "e" * 40}, "base": {"sha": "f" * 40}}}))

    version = described(variables={"GITHUB_EVENT_NAME": "pull_request", "GITHUB_EVENT_PATH": str(event)})

    assert (3, "e" * 40) == (version.pull_request, version.head_of_pull_request)


def test_an_evaluation_of_other_files_is_left_out() -> None:
    """
    Its metrics are those of another model; a training whose run was deleted has none either.
    """

    def gone(_run: str) -> None:
        raise ToolFailed(what="the run is gone", why="it was deleted")

    version = described(evaluated="c" * 64, describe_run=gone)

    assert (None, None) == (version.evaluation, version.training)


def test_a_model_that_others_logged_has_neither_answers_nor_a_signature() -> None:
    """
    What it does not have is empty, and no error.
    """
    version = described(files={"MLmodel": ""}, signature=None)

    assert ((), None, False, {}) == (
        version.answers,
        version.signature,
        version.signature_left_out,
        version.packages,
    )


@pytest.mark.parametrize("signature", [{"inputs": "{"}, {"inputs": [{"name": "x" * 60_000, "type": "double"}]}])
def test_a_signature_that_no_description_holds_is_left_out(signature: Any) -> None:
    """
    It is said, because it is not the same as none.
    """
    version = described(signature=signature)

    assert (None, True) == (version.signature, version.signature_left_out)


def test_the_values_of_answers_are_left_out_if_that_is_asked_for() -> None:
    """
    A pull request of a public repository would show them; their digests say which differ.
    """
    (hidden,), (shown,) = (described(with_answers=kept).answers for kept in (False, True))

    assert (None, shown.sha256) == (hidden.answer, hidden.sha256)


def test_answers_that_cannot_be_read_are_an_error() -> None:
    """
    The file was changed.
    """
    with pytest.raises(BadInput, match="recorded answers"):
        described(files={**FILES, ANSWERS: "[]"})


def test_secrets_are_masked() -> None:
    """
    In every text, also one that was issued to this process; the file is an artifact that others download.
    """
    secret = "hunter2-hunter2"
    files = {**FILES, ANSWERS: json.dumps([{"predictions": [secret]}])}

    version = described(files=files, secrets=(secret,))

    assert secret.encode() not in description_document(version)
