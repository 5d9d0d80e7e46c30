"""Dispatches verbs to payload functions and writes their responses as JSON."""

import gc
import importlib
import json
import os
import sys
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import asdict
from pathlib import Path
from typing import Any

from .channel import Channel
from .messages import conversion, deployments, evaluation, models, platforms, registry, runs, scoring
from .messages.reader import read
from .messages.request import DescribeEnvironment, DescribeLicences, Request
from .problems import Problem, ProblemKind, describe
from .process_environment import hide_environment
from .stores.databases import STORES, require_usable
from .stores.repositories import checked
from .stores.retries import limited_retries, retry_incomplete

# Modules are imported per verb: most need mlflow, and describe-environment must work without it.
VERBS: Mapping[type[Request], tuple[str, str]] = {
    DescribeEnvironment: ("environment", "describe"),
    DescribeLicences: ("licences", "describe"),
    runs.PrepareExperiment: ("runs.runs", "prepare_experiment"),
    runs.CreateRun: ("runs.runs", "create"),
    runs.LogEntryPoint: ("runs.runs", "log_entry_point"),
    runs.EndRun: ("runs.runs", "end"),
    runs.DescribeRun: ("runs.runs", "describe"),
    runs.LogRecord: ("runs.runs", "log_record"),
    runs.DownloadRecord: ("runs.runs", "download_record"),
    runs.CloseAttempt: ("runs.attempts", "close"),
    models.CallFunction: ("models.model_function", "call"),
    models.FindModels: ("models.logged_models", "find"),
    models.FindReleased: ("models.logged_models", "find_released"),
    models.FindReferencedModel: ("models.references", "find"),
    models.FindLatest: ("models.logged_models", "find_latest"),
    models.DescribeModel: ("models.logged_models", "describe"),
    models.LogFolder: ("models.folders", "log"),
    models.DownloadModel: ("models.folders", "download"),
    models.OverwriteModel: ("models.folders", "overwrite"),
    models.AnswerRequests: ("models.answers", "answer"),
    models.AnswerBySpark: ("spark.answers", "answer"),
    models.DescribeCases: ("models.cases", "describe"),
    models.ReadExample: ("models.examples", "read"),
    models.ReadCases: ("models.case_files", "read"),
    models.DescribeSignature: ("models.cases", "signature"),
    conversion.ConvertModel: ("conversion.converter", "convert"),
    conversion.ConvertToTflite: ("conversion.network_converter", "convert"),
    conversion.MeasureOriginal: ("conversion.original_measure", "measure"),
    evaluation.WriteData: ("evaluation.holdout", "write"),
    evaluation.EvaluateModel: ("evaluation.evaluator", "evaluate"),
    evaluation.StartEvaluation: ("evaluation.evaluation_runs", "start"),
    evaluation.FillEvaluation: ("evaluation.evaluation_runs", "fill"),
    evaluation.FindEvaluation: ("evaluation.evaluation_runs", "find"),
    registry.FindOrCreateVersion: ("registry.registration", "find_or_create"),
    registry.DescribeVersion: ("registry.versions", "describe"),
    registry.FindVersions: ("registry.versions", "find"),
    registry.DescribeName: ("registry.versions", "describe_name"),
    registry.DescribeRights: ("registry.permissions", "describe"),
    registry.AssignAlias: ("registry.alias_moves", "assign"),
    registry.PromoteVersion: ("registry.alias_moves", "promote"),
    registry.FindRollback: ("registry.rollbacks", "find"),
    registry.RollBackAlias: ("registry.rollbacks", "roll_back"),
    registry.DeleteVersions: ("registry.pruning", "delete"),
    registry.SetTags: ("registry.tags", "tag"),
    registry.TagRecord: ("registry.tags", "tag_record"),
    conversion.FindExport: ("registry.exports", "find"),
    deployments.ClaimDeployment: ("registry.deployments", "claim"),
    deployments.RecordDeployment: ("registry.deployments", "record"),
    platforms.CallAws: ("platforms.aws", "call"),
    platforms.CallPlugin: ("platforms.plugin", "call"),
    scoring.ScoreTables: ("scoring.scorer", "score"),
    scoring.ScoreTablesBySpark: ("spark.scoring", "score"),
}
# Verbs that exchange files with the caller while they run; their response is a line, too.
CONVERSING = (scoring.ScoreTables.verb, scoring.ScoreTablesBySpark.verb)
_REQUESTS: Mapping[str, type[Request]] = {kind.verb: kind for kind in VERBS}
# Prefixes of idempotent verbs.
IDEMPOTENT = ("describe-", "find-", "download-", "prepare-", "end-run", "log-entry-point", "overwrite-", "tag")
# Set in processes that run code of a model: they hold no secrets, and profilers need access to their memory.
MODEL_PROCESS = "MLFLOW_UV_CHILD"


def main(arguments: Sequence[str]) -> int:
    """Answer one request (exit status 0: value, 1: error, 2: usage error); without arguments, serve requests."""
    if not arguments:
        if MODEL_PROCESS not in os.environ:
            hide_environment()
        gc.disable()  # importing MLflow and opening its store create no garbage; saves a fifth of the time
        return serve_requests()
    try:
        verb, response_file = arguments
    except ValueError:
        sys.stderr.write("usage: PYTHON -I payloads [VERB RESPONSE_FILE < request.json]\n")
        return 2
    response = respond(verb, json.load(sys.stdin))
    Path(response_file).write_text(json.dumps(response, indent=1), encoding="utf-8")
    return 1 if "error" in response else 0


def serve_requests() -> int:
    """
    Answer requests until standard input ends, because importing mlflow takes longer than most requests.

    A request is a line `{"verb", "request", "response": file, "retries"?, "timeout_s"?: of each HTTP call}`. When the
    response file is complete, an empty JSON object on a line of standard output confirms it. A verb in CONVERSING has
    no such file: the lines are its messages (see channel.Channel), and the last one is the response. Nothing else is
    written there: what MLflow, or a model's code, prints goes to standard error.
    """
    with os.fdopen(os.dup(1), "w", encoding="utf-8") as confirmations, os.fdopen(os.dup(0), encoding="utf-8") as lines:
        os.dup2(2, 1)
        with Path(os.devnull).open(encoding="utf-8") as nothing:
            os.dup2(nothing.fileno(), 0)
        while line := lines.readline():
            message = json.loads(line)
            if message["verb"] in CONVERSING:
                response = respond(message["verb"], message["request"], Channel(lines, confirmations))
                confirmations.write(json.dumps(response) + "\n")
                confirmations.flush()
                continue
            with limited_retries(message.get("retries"), timeout_s=message.get("timeout_s")):
                response = respond(message["verb"], message["request"])
            Path(message["response"]).write_text(json.dumps(response, indent=1), encoding="utf-8")
            confirmations.write("{}\n")
            confirmations.flush()
            resume_collection()
    return 0


def resume_collection() -> None:
    """Let Python collect garbage again, but not look at what is imported: some hundred thousand objects."""
    if not gc.isenabled():
        gc.freeze()
        gc.enable()


def respond(verb: str, request: dict[str, Any], channel: Channel | None = None) -> dict[str, Any]:
    """`{"value"}` or `{"error"}`; every exception becomes an error response. `channel` is for verbs in CONVERSING."""
    try:
        return {"value": _answer(verb, request, channel)}
    except (Exception, SystemExit) as error:  # noqa: BLE001
        return {"error": asdict(describe(error))}


def _answer(verb: str, request: dict[str, Any], channel: Channel | None = None) -> dict[str, Any]:
    """The value of one verb. Raises Problem."""
    if verb not in _REQUESTS or (verb in CONVERSING) != (channel is not None):
        raise Problem(ProblemKind.INVALID, f"unknown verb `{verb}`")
    kind = _REQUESTS[verb]
    module_name, function = VERBS[kind]
    try:
        module = importlib.import_module(f"{__package__}.{module_name}")
    except Exception as error:  # incompatible packages may raise anything on import
        raise Problem(ProblemKind.MLFLOW_MISSING, f"mlflow cannot be imported: {error}") from error
    if channel is not None or MODEL_PROCESS in os.environ:
        resume_collection()  # before a model's own code, which may create any amount
    for name in STORES:
        require_usable(name)
    try:
        message = read(kind, request, what="the request")
    except ValueError as error:
        raise Problem(ProblemKind.INVALID, str(error)) from error
    with checked(verb):
        if verb.startswith(IDEMPOTENT):
            response = retry_incomplete(lambda: getattr(module, function)(message))
        elif channel is not None:
            with closing(channel):
                response = getattr(module, function)(message, channel)
        else:
            response = getattr(module, function)(message)
    return asdict(response)
