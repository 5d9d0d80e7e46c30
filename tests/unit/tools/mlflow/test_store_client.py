"""Each method of a store client sends the request of its verb, and returns what callers need of the response."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, cast

import pytest

from mlflow_uv.core.security.serve_env import ServeVariables
from mlflow_uv.payloads.messages import evaluation, models, registry, request, runs
from mlflow_uv.payloads.messages.tags import ATTEMPT
from mlflow_uv.tools.mlflow.mlflow import Mlflow, ModelRun
from mlflow_uv.tools.mlflow.store import Store, StoreKind
from mlflow_uv.tools.mlflow.store_client import StoreClient
from tests.messages import PAIRS, VERSION

PYTHON, STORE = Path("/venv/bin/python"), Store(uri="https://mlflow.test", kind=StoreKind.SERVER, variables={})
SERVE_ENV = ServeVariables({"REGION": "north"})


@dataclass
class Payloads:
    """Answers each request with what a test says, and notes it."""

    response: object = None
    sent: list[tuple[object, ...]] = field(default_factory=list)

    def ask(self, python: Path, store: Store, sent: request.Request, response: type) -> Any:
        """See Mlflow."""
        self.sent.append((python, store, sent, response))
        return self.response

    def ask_model(self, python: Path, store: Store, sent: request.Request, response: type, run: ModelRun) -> Any:
        """See Mlflow."""
        self.sent.append((python, store, sent, response, run))
        return self.response

    @property
    def client(self) -> StoreClient:
        """A client of the store that asks here."""
        return StoreClient(mlflow=cast("Mlflow", self), python=PYTHON, store=STORE)


CALLS: Mapping[str, tuple[Callable[[StoreClient], object], request.Request]] = {
    "prepare_experiment": (
        lambda client: client.prepare_experiment("wine", artifact_location="s3://a"),
        runs.PrepareExperiment(experiment="wine", artifact_location="s3://a"),
    ),
    "create_run": (
        lambda client: client.create_run("wine", tags={"a": "1"}, run_name="try"),
        runs.CreateRun(experiment="wine", tags={"a": "1"}, run_name="try"),
    ),
    "log_entry_point": (
        lambda client: client.log_entry_point("r", folder=Path("/p"), entry_point="main", parameters={"c": "2"}),
        runs.LogEntryPoint(run_id="r", folder="/p", entry_point="main", parameters={"c": "2"}),
    ),
    "end_run": (lambda client: client.end_run("r", status="KILLED"), runs.EndRun(run_id="r", status="KILLED")),
    "describe_run": (lambda client: client.describe_run("r"), runs.DescribeRun(run_id="r")),
    "log_record": (
        lambda client: client.log_record("r", file=Path("/record.json"), path="a/record.json"),
        runs.LogRecord(run_id="r", file="/record.json", path="a/record.json"),
    ),
    "download_record": (
        lambda client: client.download_record("r", path="a/record.json", destination=Path("/record.json")),
        runs.DownloadRecord(run_id="r", path="a/record.json", destination="/record.json"),
    ),
    "close_attempt": (
        lambda client: client.close_attempt(ATTEMPT, "1", status="FAILED"),
        runs.CloseAttempt(tag=(ATTEMPT, "1"), status="FAILED"),
    ),
    "describe_model": (lambda client: client.describe_model("m-1"), models.DescribeModel(model_id="m-1")),
    "download_model": (
        lambda client: client.download_model("m-1", Path("/model")),
        models.DownloadModel(model_id="m-1", destination="/model"),
    ),
    "overwrite_model": (
        lambda client: client.overwrite_model("m-1", folder=Path("/model"), delete=("conda.yaml",)),
        models.OverwriteModel(model_id="m-1", folder="/model", delete=("conda.yaml",)),
    ),
    "describe_cases": (lambda client: client.describe_cases(Path("/model")), models.DescribeCases(model="/model")),
    "read_example": (lambda client: client.read_example(Path("/a.json")), models.ReadExample(file="/a.json")),
    "describe_signature": (
        lambda client: client.describe_signature(Path("/model")),
        models.DescribeSignature(model="/model"),
    ),
    "write_data": (
        lambda client: client.write_data("data:load", folder=Path("/p"), destination=Path("/data.parquet")),
        evaluation.WriteData(function="data:load", folder="/p", destination="/data.parquet"),
    ),
    "find_evaluation": (
        lambda client: client.find_evaluation(("m-1", "m-2"), {"a": "1"}),
        evaluation.FindEvaluation(model_ids=("m-1", "m-2"), tags={"a": "1"}),
    ),
    "describe_version": (
        lambda client: client.describe_version("wine", "7"),
        registry.DescribeVersion(name="wine", version="7"),
    ),
    "describe_name": (lambda client: client.describe_name("wine"), registry.DescribeName(name="wine")),
    "describe_rights": (
        lambda client: client.describe_rights("wine", experiment="tries"),
        registry.DescribeRights(name="wine", experiment="tries"),
    ),
}


@pytest.mark.parametrize("method", CALLS)
def test_a_method_sends_the_request_of_its_verb(method: str) -> None:
    """
    To the interpreter of the store, for the response of that verb.
    """
    call, sent = CALLS[method]
    payloads = Payloads()

    call(payloads.client)

    assert [(PYTHON, STORE, sent, PAIRS[type(sent)])] == payloads.sent


@pytest.mark.parametrize(
    ("call", "response", "value"),
    [
        (lambda client: client.find_released("k"), models.ReleasedModels(models=()), ()),
        (lambda client: client.find_latest("."), models.LatestModel(model=None), None),
        (lambda client: client.find_referenced_model("models:/a@b"), models.LoggedModelId(model_id="m-1"), "m-1"),
        (lambda client: client.find_versions("wine"), registry.FoundVersions(versions=(VERSION,)), (VERSION,)),
        (
            lambda client: client.log_folder(Path("/model"), name="model", run_id="r"),
            models.LoggedModelId(model_id="m-1"),
            "m-1",
        ),
    ],
    ids=["find_released", "find_latest", "find_referenced_model", "find_versions", "log_folder"],
)
def test_a_response_of_one_part_is_that_part(
    call: Callable[[StoreClient], object], response: object, value: object
) -> None:
    """
    Callers do not unpack it.
    """
    assert value == call(Payloads(response).client)


@pytest.mark.parametrize(
    ("model_id", "sent"),
    [
        ("m-1", models.DownloadModel(model_id="m-1", uri=None, destination="/model")),
        (None, models.DownloadModel(model_id=None, uri="models:/wine/7", destination="/model")),
    ],
    ids=["logged model", "no logged model"],
)
def test_a_version_is_downloaded_by_its_logged_model_if_it_has_one(
    model_id: str | None, sent: models.DownloadModel
) -> None:
    """
    A version of MLflow 2 may have none.
    """
    payloads = Payloads()
    version = replace(VERSION, name="wine", version="7", model_id=model_id)

    payloads.client.download_version(version, Path("/model"))

    assert [sent] == [words[2] for words in payloads.sent]


def test_requests_that_run_the_code_of_a_model_have_its_variables() -> None:
    """
    They go to a process of their own, which may have a time limit.
    """
    payloads = Payloads()
    answers = models.AnswerRequests(model="/model", requests=({"a": 1},))
    evaluated = evaluation.EvaluateModel(model="/model", data="/d", target="y", model_type="regressor", artifacts="/a")

    payloads.client.answer(answers, SERVE_ENV, timeout_s=9.0)
    payloads.client.evaluate(evaluated, SERVE_ENV)

    assert [
        (PYTHON, STORE, answers, models.ModelAnswers, ModelRun(serve_env=SERVE_ENV, timeout_s=9.0)),
        (PYTHON, STORE, evaluated, evaluation.EvaluationResult, ModelRun(serve_env=SERVE_ENV)),
    ] == payloads.sent
