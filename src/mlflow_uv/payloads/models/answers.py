"""Computes a model's responses to `/invocations` requests with the code of MLflow's scoring server."""

import json
import platform
import time
from http import HTTPStatus
from typing import Any

import mlflow
from mlflow.pyfunc import scoring_server

from ..messages.models import AnswerRequests, ModelAnswers
from ..problems import Problem, ProblemKind, last_line, shortened
from .serving_environment import serving_environment

_CLOCK_TICK_S, _NEAR_NOW_S = 1.1, 100
_LONGEST = 900


def answer(request: AnswerRequests) -> ModelAnswers:
    """Answer each request body as `POST /invocations` with JSON would, twice if requested."""
    error_kind = ProblemKind.INVALID if request.given else ProblemKind.CANNOT_PREDICT
    with serving_environment():
        model = _load(request.model)

        def answer_all() -> "tuple[Any, ...]":
            return tuple(
                _answer(model, number, payload, error_kind) for number, payload in enumerate(request.requests, start=1)
            )

        answers = answer_all()
        if request.again and _holds_clock(answers):
            time.sleep(_CLOCK_TICK_S)
        again = answer_all() if request.again else ()
    return ModelAnswers(answers=answers, again=again, python=platform.python_version(), mlflow=str(mlflow.__version__))


def _holds_clock(answer: Any) -> bool:
    """Whether a response holds the current time in seconds, which two responses within one second do not reveal."""
    if isinstance(answer, dict):
        return any(map(_holds_clock, answer.values()))
    if isinstance(answer, (list, tuple)):
        return any(map(_holds_clock, answer))
    return isinstance(answer, int) and abs(answer - time.time()) < _NEAR_NOW_S


def _load(folder: str) -> Any:
    """Load the model with tracing disabled: no request reaches a store, even if the model's code configures one."""
    mlflow.tracing.disable()
    try:
        model = scoring_server.load_model_with_mlflow_config(folder)
    except (Exception, SystemExit) as error:  # a model's code may raise anything
        raise Problem(ProblemKind.CANNOT_LOAD, f"the model cannot be loaded: {last_line(error)}") from error
    mlflow.tracing.disable()  # the model's code may have enabled it
    return model


def _answer(model: Any, number: int, payload: Any, error_kind: ProblemKind) -> Any:
    try:
        response = scoring_server.invocations(
            json.dumps(payload), "application/json", model, model.metadata.get_input_schema()
        )
    except (Exception, SystemExit) as error:  # a model's code may raise anything
        raise Problem(error_kind, f"the model cannot answer request {number}: {last_line(error)}") from error
    if response.status != HTTPStatus.OK:
        raise Problem(error_kind, f"the model cannot answer request {number}: {_reason(response.response)}")
    return json.loads(response.response)


def _reason(body: Any) -> str:
    """The message of an error response and the last line of the traceback that it includes."""
    try:
        content = json.loads(body)
        message, trace = str(content["message"]).strip(), str(content.get("stack_trace") or "").strip()
    except (ValueError, TypeError, KeyError, AttributeError):
        return shortened(str(body), _LONGEST)
    last = trace.splitlines()[-1] if trace else ""
    return shortened(message if last in message else f"{message} {last}", _LONGEST)
