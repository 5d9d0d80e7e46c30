"""Dispatches verbs to payload functions and writes their responses as JSON."""

import importlib
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from .databases import STORES, require_usable
from .problems import Problem, ProblemKind, describe
from .process_environment import hide_environment
from .repositories import checked
from .retries import limited_retries, retry_incomplete

# Modules are imported per verb: most need mlflow, and describe-environment must work without it.
VERBS = {
    "describe-environment": ("environment", "describe"),
    "prepare-experiment": ("runs", "prepare_experiment"),
    "create-run": ("runs", "create"),
    "end-run": ("runs", "end"),
    "describe-run": ("runs", "describe"),
    "log-record": ("runs", "log_record"),
    "download-record": ("runs", "download_record"),
    "call-function": ("model_function", "call"),
    "close-attempt": ("attempts", "close"),
    "find-models": ("models", "find"),
    "find-released": ("models", "find_released"),
    "find-referenced-model": ("references", "find"),
    "find-latest": ("models", "find_latest"),
    "describe-model": ("models", "describe"),
    "log-folder": ("folders", "log"),
    "download-model": ("folders", "download"),
    "overwrite-model": ("folders", "overwrite"),
    "answer": ("answers", "answer"),
    "describe-cases": ("cases", "describe"),
    "read-example": ("examples", "read"),
    "describe-signature": ("cases", "signature"),
    "write-data": ("holdout", "write"),
    "evaluate": ("evaluation", "evaluate"),
    "start-evaluation": ("evaluation_runs", "start"),
    "fill-evaluation": ("evaluation_runs", "fill"),
    "find-evaluation": ("evaluation_runs", "find"),
    "find-or-create-version": ("registration", "find_or_create"),
    "describe-version": ("versions", "describe"),
    "find-versions": ("versions", "find"),
    "describe-name": ("versions", "describe_name"),
    "describe-rights": ("permissions", "describe"),
    "move-alias": ("alias_moves", "assign"),
    "promote": ("alias_moves", "promote"),
    "find-rollback": ("rollbacks", "find"),
    "roll-back": ("rollbacks", "roll_back"),
    "delete-versions": ("pruning", "delete"),
    "tag": ("tags", "tag"),
}
# Prefixes of idempotent verbs.
IDEMPOTENT = ("describe-", "find-", "download-", "prepare-", "end-run", "overwrite-", "tag")
SEVERAL = "several"
# Set in processes that run code of a model: they hold no secrets, and profilers need access to their memory.
MODEL_PROCESS = "MLFLOW_UV_CHILD"


class VerbRequest(dict[str, Any]):
    """A request; a missing key raises Problem with its name."""

    def __missing__(self, key: str) -> Any:
        """Raise Problem with the missing key."""
        raise Problem(ProblemKind.INVALID, f"the request lacks `{key}`")


def main(arguments: Sequence[str]) -> int:
    """Answer one request (exit status 0: value, 1: error, 2: usage error); without arguments, serve requests."""
    if not arguments:
        if MODEL_PROCESS not in os.environ:
            hide_environment()
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

    A request is a line `{"verb", "request", "response": file, "retries"?: of each HTTP call}`. When the response file
    is complete, an empty JSON object on a line of standard output confirms it. Nothing else is written there: what
    MLflow, or a model's code, prints goes to standard error.
    """
    with os.fdopen(os.dup(1), "w", encoding="utf-8") as confirmations, os.fdopen(os.dup(0), encoding="utf-8") as lines:
        os.dup2(2, 1)
        with Path(os.devnull).open(encoding="utf-8") as nothing:
            os.dup2(nothing.fileno(), 0)
        for line in lines:
            message = json.loads(line)
            with limited_retries(message.get("retries")):
                response = respond(message["verb"], message["request"])
            Path(message["response"]).write_text(json.dumps(response, indent=1), encoding="utf-8")
            confirmations.write("{}\n")
            confirmations.flush()
    return 0


def respond(verb: str, request: dict[str, Any]) -> dict[str, Any]:
    """`{"value"}` or `{"error"}`; every exception becomes an error response."""
    try:
        return {"value": _answer(verb, VerbRequest(request))}
    except (Exception, SystemExit) as error:  # noqa: BLE001
        return {"error": describe(error)}


def _answer(verb: str, request: VerbRequest) -> dict[str, Any]:
    """
    The value of one verb, or of several in turn.

    several: {questions: [[verb, request]]} -> {answers: [value]}; the first error is the error of the whole request.
    """
    if verb == SEVERAL:
        return {"answers": [_answer(name, VerbRequest(inner)) for name, inner in request["questions"]]}
    if verb not in VERBS:
        raise Problem(ProblemKind.INVALID, f"unknown verb `{verb}`")
    module_name, function = VERBS[verb]
    try:
        module = importlib.import_module(f"{__package__}.{module_name}")
    except Exception as error:  # incompatible packages may raise anything on import
        raise Problem(ProblemKind.MLFLOW_MISSING, f"mlflow cannot be imported: {error}") from error
    for name in STORES:
        require_usable(name)
    answer: dict[str, Any]
    with checked(verb):
        if verb.startswith(IDEMPOTENT):
            answer = retry_incomplete(lambda: getattr(module, function)(request))
        else:
            answer = getattr(module, function)(request)
    return answer
