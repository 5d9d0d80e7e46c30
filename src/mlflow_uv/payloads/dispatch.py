"""Which verb answers which question, and how does the answer get out?"""

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
from .retries import read_whole, waiting

# The module of a verb is imported when the verb is asked: most need mlflow, and describe-environment must answer
# where there is none.
VERBS = {
    "describe-environment": ("environment", "describe"),
    "prepare-experiment": ("runs", "prepare_experiment"),
    "create-run": ("runs", "create"),
    "end-run": ("runs", "end"),
    "describe-run": ("runs", "describe"),
    "log-record": ("runs", "log_record"),
    "download-record": ("runs", "download_record"),
    "call-function": ("calling", "call"),
    "close-attempt": ("closing", "close"),
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
    "start-evaluation": ("scores", "start"),
    "fill-evaluation": ("scores", "fill"),
    "find-evaluation": ("scores", "find"),
    "find-or-create-version": ("registration", "find_or_create"),
    "describe-version": ("versions", "describe"),
    "find-versions": ("versions", "find"),
    "describe-name": ("versions", "describe_name"),
    "describe-rights": ("rights", "describe"),
    "move-alias": ("alias_moves", "present"),
    "promote": ("alias_moves", "promote"),
    "find-rollback": ("rollbacks", "find"),
    "roll-back": ("rollbacks", "roll_back"),
    "delete-versions": ("pruning", "delete"),
    "tag": ("tags", "tag"),
}
# Asked twice, they do what they do once.
REPEATABLE = ("describe-", "find-", "download-", "prepare-", "end-run", "overwrite-", "tag")
SEVERAL = "several"
# The mark of processes that run code of a model: there is nothing to hide in them, and profilers look into them.
FOREIGN = "MLFLOW_UV_CHILD"


class VerbRequest(dict[str, Any]):
    """What was asked; a question that lacks a word says which."""

    def __missing__(self, key: str) -> Any:
        """Name the missing word instead of raising a bare KeyError from somewhere inside MLflow."""
        raise Problem(ProblemKind.INVALID, f"the request lacks `{key}`")


def main(arguments: Sequence[str]) -> int:
    """Answer one question; 0 with a value, 1 with an error, 2 if the call makes no sense. None asked: converse."""
    if not arguments:
        if FOREIGN not in os.environ:
            hide_environment()
        return converse()
    try:
        verb, response_file = arguments
    except ValueError:
        sys.stderr.write("usage: PYTHON -I payloads [VERB RESPONSE_FILE < request.json]\n")
        return 2
    response = respond(verb, json.load(sys.stdin))
    Path(response_file).write_text(json.dumps(response, indent=1), encoding="utf-8")
    return 1 if "error" in response else 0


def converse() -> int:
    """
    Answer requests until standard input ends, because importing mlflow takes longer than most answers.

    A request is a line `{"verb", "request", "response": file, "retries"?: of each call}`. When its file is whole, it is
    confirmed by an empty JSON object on a line of standard output. Nothing else can write there: what MLflow, or a
    model's code, prints goes to standard error.
    """
    with os.fdopen(os.dup(1), "w", encoding="utf-8") as confirmations, os.fdopen(os.dup(0), encoding="utf-8") as asked:
        os.dup2(2, 1)
        with Path(os.devnull).open(encoding="utf-8") as nothing:
            os.dup2(nothing.fileno(), 0)
        for line in asked:
            question = json.loads(line)
            with waiting(question.get("retries")):
                response = respond(question["verb"], question["request"])
            Path(question["response"]).write_text(json.dumps(response, indent=1), encoding="utf-8")
            confirmations.write("{}\n")
            confirmations.flush()
    return 0


def respond(verb: str, request: dict[str, Any]) -> dict[str, Any]:
    """`{"value"}` or `{"error"}`: the island's surface, so everything becomes a response."""
    try:
        return {"value": _ask(verb, VerbRequest(request))}
    except (Exception, SystemExit) as error:  # noqa: BLE001
        return {"error": describe(error)}


def _ask(verb: str, request: VerbRequest) -> dict[str, Any]:
    """
    Answer one question, or several in turn, because importing mlflow takes longer than most answers.

    several: {questions: [[verb, request]]} -> {answers: [value]}; the first error is the error of all.
    """
    if verb == SEVERAL:
        return {"answers": [_ask(one, VerbRequest(words)) for one, words in request["questions"]]}
    if verb not in VERBS:
        raise Problem(ProblemKind.INVALID, f"no verb is called `{verb}`")
    noun, function = VERBS[verb]
    try:
        module = importlib.import_module(f"{__package__}.{noun}")
    except Exception as error:  # a package that does not fit the others may raise anything while it is imported
        raise Problem(ProblemKind.MLFLOW_MISSING, f"mlflow cannot be imported: {error}") from error
    for name in STORES:
        require_usable(name)
    answer: dict[str, Any]
    with checked(verb):
        if verb.startswith(REPEATABLE):
            answer = read_whole(lambda: getattr(module, function)(request))
        else:
            answer = getattr(module, function)(request)
    return answer
