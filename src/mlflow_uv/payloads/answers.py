"""What does a model answer, said by the code that MLflow's scoring server would say it with?"""

import json
import os
import platform
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from typing import Any

import mlflow
from mlflow.pyfunc import scoring_server

from .problems import Problem, ProblemKind, last_line, shortened

_TICK_S, _AROUND_NOW_S = 1.1, 100
_LONGEST = 900
# What MLflow's server sets before it answers; some flavors answer differently without it.
_IN_SERVING = "_MLFLOW_IS_IN_SERVING_ENVIRONMENT"


def answer(request: dict[str, Any]) -> dict[str, Any]:
    """
    Answer each payload as `POST /invocations` with JSON would.

    {model: folder, requests: [payload], given?: by somebody else than the model, again?: ask everything twice}
    -> {answers: [body], again?: [body], python, mlflow}
    """
    refused = ProblemKind.INVALID if request.get("given") else ProblemKind.CANNOT_PREDICT
    with _serving():
        model = _load(request["model"])

        def ask() -> "list[Any]":
            return [
                _answer(model, number, payload, refused) for number, payload in enumerate(request["requests"], start=1)
            ]

        said: dict[str, Any] = {"answers": ask()}
        if request.get("again"):
            if _tells_the_time(said["answers"]):
                time.sleep(_TICK_S)
            said["again"] = ask()
    return {**said, "python": platform.python_version(), "mlflow": mlflow.__version__}


def _tells_the_time(answer: Any) -> bool:
    """Whether there is a clock in seconds in it, which two answers within one second would not show."""
    if isinstance(answer, dict):
        return any(map(_tells_the_time, answer.values()))
    if isinstance(answer, list):
        return any(map(_tells_the_time, answer))
    return isinstance(answer, int) and abs(answer - time.time()) < _AROUND_NOW_S


def _load(folder: str) -> Any:
    """The model, without tracing: what it is asked goes to no store, also where its code holds the address of one."""
    mlflow.tracing.disable()
    try:
        model = scoring_server.load_model_with_mlflow_config(folder)
    except (Exception, SystemExit) as error:  # a model's code may raise anything
        raise Problem(ProblemKind.CANNOT_LOAD, f"the model cannot be loaded: {last_line(error)}") from error
    mlflow.tracing.disable()  # its code may have turned it on again
    return model


def _answer(model: Any, number: int, payload: Any, refused: ProblemKind) -> Any:
    try:
        response = scoring_server.invocations(
            json.dumps(payload), "application/json", model, model.metadata.get_input_schema()
        )
    except (Exception, SystemExit) as error:  # a model's code may raise anything
        raise Problem(refused, f"the model cannot answer request {number}: {last_line(error)}") from error
    if response.status != HTTPStatus.OK:
        raise Problem(refused, f"the model cannot answer request {number}: {_reason(response.response)}")
    return json.loads(response.response)


def _reason(body: Any) -> str:
    """What a refusal says, without the JSON around it, and the line on which the traceback ends that it carries."""
    try:
        said = json.loads(body)
        message, trace = str(said["message"]).strip(), str(said.get("stack_trace") or "").strip()
    except (ValueError, TypeError, KeyError, AttributeError):
        return shortened(str(body), _LONGEST)
    last = trace.splitlines()[-1] if trace else ""
    return shortened(message if last in message else f"{message} {last}", _LONGEST)


@contextmanager
def _serving() -> Iterator[None]:
    before = os.environ.get(_IN_SERVING)
    os.environ[_IN_SERVING] = "true"
    try:
        yield
    finally:
        if before is None:
            del os.environ[_IN_SERVING]
        else:
            os.environ[_IN_SERVING] = before
