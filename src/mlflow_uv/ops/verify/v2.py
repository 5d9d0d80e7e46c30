"""Sends the recorded requests to a server in the V2 (Open Inference) protocol, and returns its predictions."""

import json
from collections.abc import Sequence
from http import HTTPStatus
from typing import Any
from urllib.parse import quote

from ...command.errors import NotServing, ToolFailed
from ...command.server_inputs import ANSWER_S
from ...core.model.answer_wording import reason_of
from ...core.model.v2_requests import v2_predictions, v2_requests
from ...core.security.documents import parse_json
from ...payloads.messages.lazy_dataclass import lazy_dataclass
from ...tools.engines.engine import ServingContainer
from ...tools.mlflow.model_requests import ModelReply, ModelRequest, readiness_request
from ...tools.system.commands import TooSlow
from ...tools.toolbox import Tools
from ..image.serving_check import POLL_S, last_line, show_log

MODEL = "verified"  # name of the model, which a client needs
MODEL_PATH = f"/v2/models/{quote(MODEL)}"


@lazy_dataclass
class V2Answers:
    """
    Predictions in the form of MLflow's server, the recorded ones, and why other requests were not sent.

    `numbers` are those of the requests with a prediction, from 1.
    """

    answers: tuple[Any, ...]
    recorded: tuple[Any, ...]
    why: str
    numbers: tuple[int, ...] = ()


def answers_by_v2(
    server: ServingContainer, recorded: tuple[Sequence[Any], Sequence[Any]], deadline_s: float, tools: Tools
) -> V2Answers:
    """
    Wait until a server of the model MODEL is ready, and send it the requests as `predictions_by_v2`.

    Raises TooSlow after `deadline_s` seconds without readiness, and NotServing for a server that ended.
    """
    _await_ready(server, deadline_s, tools)
    return predictions_by_v2(server, recorded, MODEL_PATH, answer_s=ANSWER_S)


def predictions_by_v2(
    server: ServingContainer, recorded: tuple[Sequence[Any], Sequence[Any]], model_path: str, *, answer_s: float
) -> V2Answers:
    """
    Send the `recorded` requests that V2 can express, with their answers, to a model of a server.

    Raises NotServing for a request without a response, and ToolFailed for one without a prediction, and for a server
    that does not describe its model.
    """
    described = _answer(server, ModelRequest(method="GET", path=model_path, timeout_s=answer_s))
    inputs = described.get("inputs") if isinstance(described, dict) else None
    inputs = [item for item in inputs if isinstance(item, dict)] if isinstance(inputs, list) else []
    requests, why = v2_requests(*recorded, inputs)
    answers = []
    for request in requests:
        path, body = f"{model_path}/infer", json.dumps(request.body).encode()
        response = _answer(
            server, ModelRequest(method="POST", path=path, body=body, timeout_s=answer_s), request.number
        )
        try:
            answers.append(v2_predictions(response, request.answer))
        except (ValueError, TypeError) as error:
            raise ToolFailed(
                what=f"the response to request {request.number} is not one of V2", why=str(error)
            ) from error
    return V2Answers(
        answers=tuple(answers),
        recorded=tuple(request.answer for request in requests),
        why=why,
        numbers=tuple(request.number for request in requests),
    )


def _await_ready(server: ServingContainer, deadline_s: float, tools: Tools) -> None:
    started = tools.clock.now_s()
    while (passed := tools.clock.now_s() - started) < deadline_s:
        reply = server.send(readiness_request(f"{MODEL_PATH}/ready", deadline_s - passed))
        if reply is not None and reply.status == HTTPStatus.OK:
            return
        if (code := server.code()) is not None:
            show_log(server, tools)
            raise NotServing(what=f"the server exited with {code} before it was ready", why=last_line(server))
        tools.clock.wait(POLL_S)
    show_log(server, tools)
    raise TooSlow(what=f"the server was not ready within {deadline_s:.0f} s", why=last_line(server))


def _answer(server: ServingContainer, request: ModelRequest, number: int | None = None) -> Any:
    """The JSON of a response. Raises ToolFailed for another status than 200, and NotServing without a response."""
    subject = "the description of the model" if number is None else f"request {number}"
    reply: ModelReply | None = server.send(request)
    if reply is None:
        raise NotServing(what=f"{subject} got no response", why=last_line(server))
    if reply.status != HTTPStatus.OK:
        raise ToolFailed(what=f"{subject} got no answer", why=f"status {reply.status}: {reason_of(reply.body)}")
    try:
        return parse_json(reply.body)
    except (ValueError, RecursionError) as error:
        raise ToolFailed(what=f"the response to {subject} cannot be read as JSON", why=str(error)) from error
