"""Computes a model's responses to `/invocations` requests with the code of MLflow's scoring server."""

import json
import platform
import time
from collections.abc import Iterator
from http import HTTPStatus
from itertools import zip_longest
from typing import Any

import mlflow
from mlflow.pyfunc import scoring_server

from ..messages.models import AnswerRequests, BodyResponses, ModelAnswers, ModelResponse
from ..problems import Problem, ProblemKind, last_line, mask, shortened
from .interruption import Interrupted, interrupted_after
from .serving_environment import load_untraced, serving_environment
from .strict_json import RepeatedName, strict_json

_CLOCK_TICK_S, _NEAR_NOW_S = 1.1, 100
_LONGEST = 900
_JSON = "application/json"
# With Flask, before 2.21, MLflow's server decodes a body before it reads it.
_SERVER_DECODES = tuple(map(int, mlflow.__version__.split(".")[:2])) < (2, 21)
_LONGEST_REASON = 300
_MOST_CHUNKS = 10_000
# Every chat model and agent inherits predict_stream from this module, where it only raises NotImplementedError.
_INHERITED = "mlflow.pyfunc.model"


def answer(request: AnswerRequests) -> ModelAnswers:
    """Answer each request and each body as `POST /invocations` with JSON would, twice if requested."""
    with serving_environment():
        model = load_untraced(scoring_server.load_model_with_mlflow_config, request.model)
        answers, bodies = _answer_all(model, request)
        if not request.again:
            return _versions(answers=answers, bodies=bodies)
        responses = (*bodies.cases, *bodies.derived, *bodies.streams)
        if _holds_clock((answers, [response and response.answer for response in responses])):
            time.sleep(_CLOCK_TICK_S)
        again, bodies_again = _answer_all(model, request)
    return _versions(answers=answers, bodies=bodies, again=again, bodies_again=bodies_again)


def _versions(**answers: Any) -> ModelAnswers:
    return ModelAnswers(python=platform.python_version(), mlflow=str(mlflow.__version__), **answers)


def _answer_all(model: Any, request: AnswerRequests) -> "tuple[tuple[Any, ...], BodyResponses]":
    error_kind = ProblemKind.INVALID if request.given else ProblemKind.CANNOT_PREDICT
    answers = tuple(
        _answer(model, number, payload, error_kind) for number, payload in enumerate(request.requests, start=1)
    )
    cases = tuple(
        _response(model, body, name=f"request {number} of the file")
        for number, body in enumerate(request.cases, start=1)
    )
    return answers, BodyResponses(
        cases=cases,
        derived=tuple(_responses_in_time(model, request)),
        streams=tuple(_stream_responses(model, request)),
    )


def _holds_clock(answer: Any) -> bool:
    """Whether a response holds the current time in seconds, which two responses within one second do not reveal."""
    if isinstance(answer, dict):
        return any(map(_holds_clock, answer.values()))
    if isinstance(answer, (list, tuple)):
        return any(map(_holds_clock, answer))
    return isinstance(answer, int) and abs(answer - time.time()) < _NEAR_NOW_S


def _answer(model: Any, number: int, payload: Any, error_kind: ProblemKind) -> Any:
    try:
        response = scoring_server.invocations(
            json.dumps(payload), "application/json", model, model.metadata.get_input_schema()
        )
    except (Exception, SystemExit) as error:  # a model's code may raise anything
        raise Problem(error_kind, f"the model cannot answer request {number}: {last_line(error)}") from error
    if response.status != HTTPStatus.OK:
        raise Problem(error_kind, f"the model cannot answer request {number}: {_reason(response.response)}")
    return _document(response.response, f"request {number}")


def _document(text: str, request: str) -> Any:
    """The document of a response. Raises Problem for one of which each parser may take another value."""
    try:
        return strict_json(text)
    except RepeatedName as error:  # MLflow writes columns such as 1 and "1" under one name
        raise Problem(ProblemKind.AMBIGUOUS_RESPONSE, f"the response to {request} is ambiguous: {error}") from error


def _responses_in_time(model: Any, request: AnswerRequests) -> "Iterator[ModelResponse | None]":
    """The response to each derived request; None for one that is ambiguous, takes too long or has no time left."""
    end = time.monotonic() + request.derived_s
    for body, content_type in zip_longest(request.derived, request.derived_types, fillvalue=_JSON):
        remaining = min(end - time.monotonic(), request.request_s)
        if remaining <= 0:
            yield None
            continue
        try:
            with interrupted_after(remaining):
                response = _response(model, body, content_type)
        except (Interrupted, Problem):
            yield None
        else:
            yield response


def _response(model: Any, body: str, content_type: str = _JSON, *, name: str = "a derived request") -> ModelResponse:
    """
    The status and the answer to a body, or the reason of a refusal, as MLflow's server responds to its bytes.

    Raises Problem for an ambiguous response.
    """
    try:
        sent = body if _SERVER_DECODES else body.encode()
        response = scoring_server.invocations(sent, content_type, model, model.metadata.get_input_schema())
        if response.status == HTTPStatus.OK:
            return ModelResponse(status=response.status, answer=_document(response.response, name))
        return _refusal(response.status, _reason(response.response))
    except Problem:
        raise
    except (Exception, SystemExit) as error:  # noqa: BLE001  # a model's code may raise anything
        # The server's own translation: the status of an MlflowException, else an internal error.
        status = getattr(error, "get_http_status_code", lambda: HTTPStatus.INTERNAL_SERVER_ERROR)()
        return _refusal(status, last_line(error))


def _refusal(status: int, reason: str) -> ModelResponse:
    return ModelResponse(status=int(status), reason=shortened(mask(reason), _LONGEST_REASON))


def _reason(body: Any) -> str:
    """The message of an error response and the last line of the traceback that it includes."""
    try:
        content = json.loads(body)
        message, trace = str(content["message"]).strip(), str(content.get("stack_trace") or "").strip()
    except (ValueError, TypeError, KeyError, AttributeError):
        return shortened(str(body), _LONGEST)
    last = trace.splitlines()[-1] if trace else ""
    return shortened(message if last in message else f"{message} {last}", _LONGEST)


def _stream_responses(model: Any, request: AnswerRequests) -> "Iterator[ModelResponse | None]":
    """The response to each request for a stream; None if the model has none."""
    for body in request.streams:
        yield _stream_response(model, body, request.stream_s) if _has_stream(model) else None


def _has_stream(model: Any) -> bool:
    """Whether MLflow can stream the model, and its predict_stream is its own. The server decides in the same way."""
    if getattr(model, "_predict_stream_fn", None) is None:
        return False
    implementation = model._model_impl  # noqa: SLF001  # MLflow marks every chat model and agent as streamable
    raw = getattr(implementation, "get_raw_model", lambda: getattr(implementation, "python_model", implementation))()
    return getattr(getattr(type(raw), "predict_stream", None), "__module__", "") != _INHERITED


def _stream_response(model: Any, body: str, seconds: float) -> ModelResponse:
    chunks: list[Any] = []
    try:
        with interrupted_after(seconds):
            for chunk in _chunks(model, body):
                if len(chunks) == _MOST_CHUNKS:
                    return _failed_stream(chunks, f"it has more than {_MOST_CHUNKS} chunks")
                chunks.append(chunk)
    except Interrupted:
        return _failed_stream(chunks, f"it does not end within {seconds:g} s")
    except (Exception, SystemExit) as error:  # noqa: BLE001  # a model's code may raise anything
        return _failed_stream(chunks, last_line(error))
    return ModelResponse(status=HTTPStatus.OK, answer=chunks)


def _chunks(model: Any, body: str) -> Iterator[Any]:
    """The chunks as JSON, of the request as MLflow's server reads it without `stream`."""
    request = json.loads(body)
    request.pop("stream", None)
    parsed = scoring_server._parse_json_data(  # noqa: SLF001  # no public function reads a request
        json.dumps(request), model.metadata, model.metadata.get_input_schema()
    )
    for chunk in model.predict_stream(parsed.data, params=parsed.params):
        jsonable = scoring_server._get_jsonable_obj(chunk, pandas_orient="records")  # noqa: SLF001  # as above
        yield strict_json(json.dumps(jsonable, cls=scoring_server.NumpyEncoder))


def _failed_stream(chunks: "list[Any]", reason: str) -> ModelResponse:
    shown = shortened(mask(f"chunk {len(chunks) + 1}: {reason}"), _LONGEST_REASON)
    return ModelResponse(status=HTTPStatus.INTERNAL_SERVER_ERROR, answer=chunks, reason=shown)
