"""Sends the recorded requests to a running server in its protocol: that of MLflow, or V2 (Open Inference)."""

from collections.abc import Iterator
from dataclasses import replace
from http import HTTPStatus

from ...command.errors import BadInput, ToolFailed
from ...command.report import Finding, Severity, counted
from ...command.wording import option
from ...core.model.answer_paths import without_paths
from ...core.model.answer_wording import difference_fix, format_differences
from ...core.model.answers import differences
from ...core.model.derived_formats import JSON_TYPE
from ...core.model.recorded_requests import RecordedRequest, RequestOrigin
from ...core.security.documents import parse_json
from ...tools.mlflow.endpoint import Endpoint
from ...tools.mlflow.model_requests import ModelRequest
from ...tools.toolbox import Tools
from ..image.endpoint_check import ask_endpoint, first_findings, first_reply
from ..image.serving_check import MALFORMED, Expected, ObservedServer, answer_in, check_reply, model_request
from .v2 import V2Answers, predictions_by_v2


def ask(endpoint: Endpoint, expected: Expected, tools: Tools) -> ObservedServer:
    """Send the requests in the protocol of the endpoint; raises as `ask_endpoint` and `ask_by_v2`."""
    if endpoint.at_once:
        return ask_at_once(endpoint, expected, tools)
    if endpoint.examples_only:
        return ask_examples(endpoint, expected, tools)
    return (ask_by_v2 if endpoint.address.model_path else ask_endpoint)(endpoint, expected, tools)


def ask_examples(endpoint: Endpoint, expected: Expected, tools: Tools) -> ObservedServer:
    """
    Send the example and the requests of the file that are JSON and have a prediction.

    Platforms with a server of their own have other rules for what is invalid, no streams, and other formats. Raises
    NotServing, and BadInput if no request is left.
    """
    sent = _answered_json(expected)
    observed = ask_endpoint(endpoint, replace(expected, requests=sent), tools)
    left_out = _unsent(expected, sent, why="its server has other formats, and rules of its own for what is invalid")
    return replace(observed, complaints=(*observed.complaints, *left_out))


def ask_at_once(endpoint: Endpoint, expected: Expected, tools: Tools) -> ObservedServer:
    """
    Send the example and the requests of the file that are JSON and have a prediction, all at once.

    Raises NotServing, and BadInput if no request is left.
    """
    sent = _answered_json(expected)
    begun = tools.clock.now_s()
    replies = endpoint.send_all([model_request(item, expected.answer_s) for item in sent])
    findings = [
        finding
        for request, reply in zip(sent, replies, strict=True)
        for finding in check_reply(request, reply, expected, endpoint)
    ]
    left_out = _unsent(expected, sent, why="it answers all requests or none, and those are refused or in other formats")
    return ObservedServer(
        healthy_after_s=tools.clock.now_s() - begun,
        answers=list(map(answer_in, replies)),
        complaints=(*first_findings(findings), *left_out),
    )


def _answered_json(expected: Expected) -> tuple[RecordedRequest, ...]:
    sent = tuple(
        item
        for item in expected.of(RequestOrigin.EXAMPLE, RequestOrigin.FILE)
        if item.is_answered and item.content_type == JSON_TYPE
    )
    if not sent:
        raise BadInput(
            what="no recorded request can be sent to this platform",
            why="it takes requests in JSON that have a prediction",
            fix="log the model with an input example, and release it again",
        )
    return sent


def _unsent(expected: Expected, sent: tuple[RecordedRequest, ...], *, why: str) -> Iterator[Finding]:
    if left_out := len(expected.requests) - len(sent):
        yield Finding(
            rule="requests-unsent",
            severity=Severity.NOTICE,
            what=f"{counted(left_out, 'request')} cannot be sent to this platform",
            why=why,
        )


def ask_by_v2(endpoint: Endpoint, expected: Expected, tools: Tools) -> ObservedServer:
    """
    Wait until a model describes itself, and send it the example and the requests of the file, and a malformed one.

    Derived requests and streams are left out: V2 has other rules for what is invalid, and no streams. Raises NotServing
    for a server that does not respond, redirects or denies access, and BadInput if V2 can express no request.
    """
    path = endpoint.address.model_path
    metadata = ModelRequest(method="GET", path=path, timeout_s=expected.answer_s)
    ready_after, _ = first_reply(endpoint, metadata, expected.deadline_s, tools)
    requests = [item for item in expected.of(RequestOrigin.EXAMPLE, RequestOrigin.FILE) if item.is_answered]
    recorded = [parse_json(item.body) for item in requests], [item.answer for item in requests]
    begun = tools.clock.now_s()
    try:
        answers = predictions_by_v2(endpoint, recorded, path, answer_s=expected.answer_s)
    except ToolFailed as error:
        finding = Finding(rule="case-refused", what=error.what, why=endpoint.headers.masked(error.why))
        return ObservedServer(healthy_after_s=ready_after, answers=[], complaints=(finding,))
    seconds = tools.clock.now_s() - begun
    if not answers.answers:
        why = answers.why or "no request of the example or of the file has a prediction"
        raise BadInput(what="no recorded request can be sent in the V2 protocol", why=why, fix=option("url", "URL"))
    return ObservedServer(
        healthy_after_s=ready_after,
        answers=list(answers.answers),
        complaints=(
            *_differing(requests, answers, expected),
            *_left_out(requests, answers, expected),
            *_accepting_anything(endpoint, expected),
        ),
        slowest_s=seconds / len(answers.answers),
    )


def _differing(requests: list[RecordedRequest], answers: V2Answers, expected: Expected) -> Iterator[Finding]:
    for number, answer, recorded in zip(answers.numbers, answers.answers, answers.recorded, strict=True):
        pair = (without_paths(value, expected.ignored) for value in (recorded, answer))
        if found := tuple(differences(*pair, tolerance=expected.tolerance)):
            yield Finding(
                rule="answers-differ",
                what=f"the prediction for {requests[number - 1].name} is not that of training",
                why=expected.serve_env.masked(format_differences(found)),
                fix=difference_fix(found),
            )


def _left_out(requests: list[RecordedRequest], answers: V2Answers, expected: Expected) -> Iterator[Finding]:
    left_out = len(expected.requests) - len(answers.answers)
    if left_out:
        reasons = [answers.why] if len(requests) > len(answers.answers) else []
        if len(requests) < len(expected.requests):
            reasons.append("streams, and derived or refused requests, are only sent in MLflow's protocol")
        yield Finding(
            rule="requests-unsent",
            severity=Severity.NOTICE,
            what=f"{counted(left_out, 'request')} cannot be sent in the V2 protocol",
            why="; ".join(reasons),
        )


def _accepting_anything(endpoint: Endpoint, expected: Expected) -> Iterator[Finding]:
    """Yield a finding about a server that accepts a malformed request."""
    path = f"{endpoint.address.model_path}/infer"
    body = MALFORMED.body.encode()
    reply = endpoint.send(ModelRequest(method="POST", path=path, body=body, timeout_s=expected.answer_s))
    if reply is None or not HTTPStatus.BAD_REQUEST <= reply.status < HTTPStatus.INTERNAL_SERVER_ERROR:
        why = f"the response has status {reply.status}" if reply else endpoint.headers.masked(endpoint.log())
        yield Finding(rule="malformed-accepted", what=f"{MALFORMED.name} was not refused", why=why)
