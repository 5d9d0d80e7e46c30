"""Requests and responses of the payloads: the pair of each verb, and examples of the responses."""

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from mlflow_uv.payloads.messages import (
    conversion,
    deployments,
    evaluation,
    models,
    platforms,
    registry,
    request,
    runs,
    scoring,
)
from mlflow_uv.payloads.messages.reader import read
from mlflow_uv.tools.mlflow.mlflow import Mlflow
from mlflow_uv.tools.mlflow.store import Store

# What each verb is asked, and what it answers.
PAIRS: Mapping[type[request.Request], type[Any]] = {
    request.DescribeEnvironment: request.EnvironmentDescription,
    request.DescribeLicences: request.LicenceDescription,
    runs.PrepareExperiment: request.Done,
    runs.CreateRun: runs.CreatedRun,
    runs.LogEntryPoint: request.Done,
    runs.EndRun: request.Done,
    runs.DescribeRun: runs.RunDescription,
    runs.LogRecord: request.Done,
    runs.DownloadRecord: request.Done,
    runs.CloseAttempt: runs.ClosedAttempt,
    models.CallFunction: models.FunctionModel,
    models.FindModels: models.FoundModels,
    models.FindReleased: models.ReleasedModels,
    models.FindReferencedModel: models.LoggedModelId,
    models.FindLatest: models.LatestModel,
    models.DescribeModel: models.LoggedModelDescription,
    models.LogFolder: models.LoggedModelId,
    models.DownloadModel: request.Done,
    models.OverwriteModel: request.Done,
    models.AnswerRequests: models.ModelAnswers,
    models.AnswerBySpark: models.ModelAnswers,
    models.DescribeCases: models.ModelCases,
    models.ReadExample: models.ExampleRequests,
    models.ReadCases: models.CaseRequests,
    models.DescribeSignature: models.ModelSignature,
    conversion.ConvertModel: conversion.ConversionResult,
    conversion.ConvertToTflite: conversion.ConversionResult,
    conversion.MeasureOriginal: conversion.ModelFigures,
    conversion.FindExport: conversion.FoundExport,
    evaluation.WriteData: evaluation.WrittenData,
    evaluation.EvaluateModel: evaluation.EvaluationResult,
    evaluation.StartEvaluation: evaluation.StartedEvaluation,
    evaluation.FillEvaluation: request.Done,
    evaluation.FindEvaluation: evaluation.FoundEvaluation,
    registry.FindOrCreateVersion: registry.SettledVersion,
    registry.DescribeVersion: registry.RegisteredVersion,
    registry.FindVersions: registry.FoundVersions,
    registry.DescribeName: registry.RegisteredName,
    registry.DescribeRights: registry.NameRights,
    registry.AssignAlias: registry.AliasMove,
    registry.PromoteVersion: registry.AliasMove,
    registry.FindRollback: registry.RollbackTarget,
    registry.RollBackAlias: registry.AliasMove,
    registry.DeleteVersions: registry.DeletedVersions,
    registry.SetTags: request.Done,
    registry.TagRecord: registry.TaggedRecord,
    deployments.ClaimDeployment: deployments.DeploymentClaim,
    deployments.RecordDeployment: request.Done,
    platforms.CallAws: platforms.AwsResult,
    platforms.CallPlugin: platforms.PluginResult,
    scoring.ScoreTables: scoring.ScoringResult,
    scoring.ScoreTablesBySpark: scoring.ScoringResult,
}

RUN = runs.RunDescription(
    run_id="r1",
    experiment_id="0",
    name="try-1",
    status="FINISHED",
    started=1,
    ended=None,
    artifact_location="file:///artifacts",
    tags={},
    metrics={"rmse": 0.5},
    datasets=(runs.RunDataset(name="wines", digest="1a2b", context="training", source_type="http", source="{}"),),
)
MODEL = models.LoggedModelDescription(
    model_id="m-1",
    name="model",
    run_id="r1",
    experiment_id="0",
    status="READY",
    message=None,
    created=1,
    artifact_location="file:///artifacts",
    tags={},
)
ENTRY = registry.AliasEntry(
    action="promote", alias="champion", before=None, after="1", previous=None, who="alice", when="2026-01-01T00:00:00Z"
)
VERSION = registry.RegisteredVersion(
    name="wine",
    version="1",
    status="READY",
    message=None,
    created=1,
    source="models:/m-1",
    model_id="m-1",
    run_id="r1",
    description=None,
    tags={"mlflow-uv.state": "tested"},
    aliases=("champion",),
    entries=(ENTRY,),
)
DEPLOYMENT = deployments.DeploymentEntry(
    deployment="prod",
    target="compose",
    version="1",
    state="changing",
    who="alice",
    when="2026-01-01T00:00:00Z",
    token="t1",
    before="2",
    expires=5.0,
)
MOVE = registry.AliasMove(before=None, after="1", already=False, notes=("an expired lease was deleted",))

# An answer of each type, with something in every part that holds others.
RESPONSES: tuple[Any, ...] = (
    request.Done(),
    registry.TaggedRecord(digest="0" * 64),
    request.EnvironmentDescription(
        python="3.12.1",
        python_executable="/env/bin/python",
        mlflow="3.17.2",
        mlflow_flavor="full",
        mlflow_schema=None,
        platform="Linux",
    ),
    request.LicenceDescription(
        packages=(
            request.DeclaredLicence(
                name="grape", version="1.0", expression="MIT", text="", classifiers=("MIT License",), texts=()
            ),
        ),
    ),
    runs.CreatedRun(run_id="r1", experiment_id="0"),
    RUN,
    runs.ClosedAttempt(runs=("r1",), models=()),
    models.LoggedModelId(model_id="m-1"),
    models.FunctionModel(model_id="m-1", saved_as="cloudpickle", reason="Untrusted types found"),
    models.FoundModels(runs=(RUN,), models=(MODEL,), versions=(VERSION,)),
    models.ReleasedModels(models=(MODEL,)),
    models.LatestModel(model=MODEL),
    MODEL,
    models.ModelAnswers(
        answers=({"predictions": [1]},),
        python="3.12.1",
        mlflow="3.17.2",
        bodies=models.BodyResponses(
            cases=(models.ModelResponse(status=200, answer={"predictions": [None]}),),
            derived=(None, models.ModelResponse(status=400, reason="no column `age`")),
            streams=(None, models.ModelResponse(status=500, answer=["a"], reason="chunk 2: ValueError")),
        ),
    ),
    models.CaseRequests(cases=(models.CaseRequest(line=3, body="{}", has_expected=True, expected=None),)),
    models.ModelCases(has_signature=True, has_example=True, requests=({"inputs": [1]},)),
    models.ExampleRequests(requests=({"inputs": [1]},)),
    models.ModelSignature(signature={"inputs": "[]"}),
    evaluation.WrittenData(rows=7),
    evaluation.EvaluationResult(metrics={"accuracy": 0.9}, artifacts="/a", rows=7, data_sha256="d" * 64),
    conversion.ConversionResult(refusal=conversion.ConversionRefusal(operator="Spline", reason="no converter")),
    conversion.ModelFigures(row_s=0.001, memory=1),
    conversion.FoundExport(model_id="m-1", sha256="d" * 64, name="wine-onnx", version="1"),
    scoring.ScoringResult(rows=7, rejected=1, python="3.11.9", mlflow="3.17.2"),
    evaluation.StartedEvaluation(run_id="r1"),
    evaluation.FoundEvaluation(
        evaluation="e",
        data_sha256="d" * 64,
        models={"m-1": evaluation.EvaluatedModel(run_id="r1", model_sha256=None, metrics={"accuracy": 0.9})},
    ),
    registry.SettledVersion(
        **{name: getattr(VERSION, name) for name in asdict(VERSION) if name != "created"}, created=True, also=("2",)
    ),
    VERSION,
    registry.FoundVersions(versions=(VERSION,)),
    registry.RegisteredName(exists=True, aliases={"champion": "1"}, created=1_700_000_000_123),
    registry.NameRights(exists=True),
    MOVE,
    registry.RollbackTarget(before="2", after="1", already=False, why=""),
    deployments.DeploymentClaim(claimed=False, entry=DEPLOYMENT),
    platforms.PluginResult(deployment={"name": "prod"}, prediction='{"predictions": [1]}'),
    platforms.AwsResult(parts={"EndpointStatus": "InService"}, body="e30="),
    registry.DeletedVersions(deleted=("1",), kept={"2": "alias champion names it"}, notes=()),
)


def as_json(message: Any) -> Any:
    """A request or response as the other side parses it."""
    return json.loads(json.dumps(asdict(message)))


def ask(mlflow: Mlflow, python: Path, store: Store, verb: str, **parts: Any) -> dict[str, Any]:
    """The response to a verb that is named by its text, as JSON; through the types that the program uses."""
    kind = next(kind for kind in PAIRS if kind.verb == verb)
    response = mlflow.ask(python, store, read(kind, json.loads(json.dumps(parts)), what="the request"), PAIRS[kind])
    return dict(as_json(response))
