"""Sends the recorded requests to a running server by its URL, and compares the responses with those of training."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from http import HTTPStatus
from typing import Any
from urllib.parse import urljoin, urlsplit, urlunsplit

from ...command.errors import NotServing
from ...command.report import Finding, Severity, counted
from ...command.wording import Wording, option
from ...core.model.answer_wording import reason_of
from ...core.model.recorded_requests import RecordedRequest
from ...core.model.streams import is_stream
from ...core.security.origins import is_plain_web_address
from ...tools.mlflow.endpoint import Endpoint
from ...tools.mlflow.model_requests import ModelReply, ModelRequest
from ...tools.toolbox import Tools
from .serving_check import MALFORMED, POLL_S, Expected, ObservedServer, answer_in, check_reply, model_request

MOST_FINDINGS = 10
# A proxy or platform in front of a server that starts.
_NOT_READY = frozenset({HTTPStatus.BAD_GATEWAY, HTTPStatus.SERVICE_UNAVAILABLE, HTTPStatus.GATEWAY_TIMEOUT})
_REDIRECTS = frozenset({301, 302, 303, 307, 308})


def ask_endpoint(endpoint: Endpoint, expected: Expected, tools: Tools) -> ObservedServer:
    """
    Wait until a server responds, and send it all requests and a malformed one, one after the other.

    `expected.deadline_s` is for a server that starts: one that refuses connections or responds 502 to 504. After a
    request without a response no other is sent. Raises NotServing for a server that does not respond, redirects or
    denies access.
    """
    assert expected.requests  # noqa: S101  # callers refuse a model without recorded requests
    first_request = model_request(expected.requests[0], expected.answer_s)
    ready_after, first = first_reply(endpoint, first_request, expected.deadline_s, tools)
    answers: list[Any] = []
    complaints: list[Finding] = []
    slowest = 0.0
    for position, request in enumerate(expected.requests, start=1):
        begun = tools.clock.now_s()
        reply = first if position == 1 else _sent(endpoint, request, expected)
        slowest = max(slowest, tools.clock.now_s() - begun)
        if reply is None:
            complaints.extend(_silent(endpoint, request.name, unsent=len(expected.requests) - position))
            break
        answers.append(answer_in(reply))
        complaints.extend(_checked(endpoint, request, reply, expected))
    else:
        complaints.extend(_accepting_anything(endpoint, expected))
    return ObservedServer(
        healthy_after_s=ready_after, answers=answers, complaints=first_findings(complaints), slowest_s=slowest
    )


def first_findings(findings: Sequence[Finding]) -> tuple[Finding, ...]:
    """The first findings about responses, and the number of the others."""
    more = findings[MOST_FINDINGS:]
    if not more:
        return tuple(findings)
    what = f"{counted(len(more), 'more finding')} about responses that differ from those of training"
    return (*findings[:MOST_FINDINGS], Finding(rule=more[0].rule, what=what))


def _sent(endpoint: Endpoint, request: RecordedRequest, expected: Expected) -> ModelReply | None:
    return endpoint.send(model_request(request, expected.answer_s))


def first_reply(endpoint: Endpoint, request: ModelRequest, deadline_s: float, tools: Tools) -> tuple[float, ModelReply]:
    """
    Send a request until the server responds; return the seconds until then, and the response.

    Raises NotServing after `deadline_s` seconds, and for a server that redirects, denies access or has no such path.
    """
    started = tools.clock.now_s()
    while True:
        reply = endpoint.send(request)
        passed = tools.clock.now_s() - started
        if reply is not None and reply.status not in _NOT_READY:
            _require_access(endpoint, reply)
            return passed, reply
        error = endpoint.unreachable
        if passed >= deadline_s or (error is not None and (error.permanent or error.slow)):
            why = f"the last response has status {reply.status}" if reply else endpoint.log()
            raise NotServing(
                what=f"{endpoint.address.shown} does not respond to a recorded request",
                why=endpoint.headers.masked(why),
                fix=_unreachable_fix(endpoint),
            )
        tools.clock.wait(POLL_S)


def _unreachable_fix(endpoint: Endpoint) -> str:
    error = endpoint.unreachable
    if error is not None and "CERTIFICATE_VERIFY_FAILED" in str(error):
        return "set SSL_CERT_FILE to the file with the certificate of the server's CA"
    if error is not None and error.slow:
        return Wording(option("answer-timeout", "SECONDS"), " if it only needs longer")
    if error is not None and error.permanent:
        return option("url", "URL")
    return Wording(option("deadline", "SECONDS"), " if the server needs longer to start")


def _require_access(endpoint: Endpoint, reply: ModelReply) -> None:
    shown = endpoint.address.shown
    if reply.status in _REDIRECTS:
        raise _redirected(endpoint, reply)
    if reply.status in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}:
        sent = ", ".join(endpoint.headers.variables)
        raise NotServing(
            what=f"{shown} denies access",
            why=f"status {reply.status}, {f'with the headers {sent}' if sent else 'and no header was sent'}",
            fix=option("url-headers", "Authorization=VARIABLE"),
        )
    if reply.status in {HTTPStatus.NOT_FOUND, HTTPStatus.METHOD_NOT_ALLOWED}:
        why = f"status {reply.status}: {endpoint.headers.masked(reason_of(reply.body))}"
        raise NotServing(what=f"{shown} is not a model server", why=why, fix=option("url", "URL"))


def _redirected(endpoint: Endpoint, reply: ModelReply) -> NotServing:
    """
    The error for a redirect, whose target is the fix.

    If headers are sent, it is only named unless it is on the same host and encrypted: it would get them.
    """
    target = urljoin(endpoint.address.invocations, reply.location)
    if not is_plain_web_address(target):
        target = ""
    parts = urlsplit(target)
    shown = urlunsplit(parts._replace(query="", fragment=""))
    why = f"status {reply.status}, to {shown or 'an invalid URL'}; no redirect is followed, as it would get the headers"
    same = parts.hostname == endpoint.address.host and parts.scheme == "https"
    hidden = endpoint.headers.masked(shown) != shown  # it repeats a header
    safe = bool(target) and not hidden and (same or not endpoint.headers.variables)
    return NotServing(
        what=f"{endpoint.address.shown} redirects",
        why=endpoint.headers.masked(why),
        fix=option("url", shown if safe else "URL"),
    )


def _silent(endpoint: Endpoint, name: str, *, unsent: int) -> Iterator[Finding]:
    error = endpoint.unreachable
    slow = Wording(option("answer-timeout", "SECONDS"), " if it only needs longer")
    yield Finding(
        rule="case-refused",
        what=f"{name} got no response",
        why=endpoint.headers.masked(endpoint.log()),
        fix=slow if error is not None and error.slow else "see the log of the server",
    )
    if unsent:
        yield Finding(
            rule="requests-unsent",
            severity=Severity.NOTICE,
            what=f"{counted(unsent, 'more request')} not sent",
            why=f"the server did not respond to {name!r}",
        )


def _checked(endpoint: Endpoint, request: RecordedRequest, reply: ModelReply, expected: Expected) -> Iterator[Finding]:
    if reply.status in _REDIRECTS:
        error = _redirected(endpoint, reply)
        yield Finding(rule="case-refused", what=f"{request.name}: {error.what}", why=error.why, fix=error.fix)
    elif request.is_stream and reply.status == HTTPStatus.OK and not is_stream(reply.body):
        yield Finding(
            rule="not-streamed",
            severity=Severity.NOTICE,
            what=f"{endpoint.address.shown} does not answer {request.name} with a stream",
            why="`mlflow models serve` ignores `stream`; the server of this program and MLflow's agent server stream",
        )
    else:
        findings = check_reply(request, reply, expected, endpoint)
        yield from (replace(finding, why=endpoint.headers.masked(finding.why)) for finding in findings)


def _accepting_anything(endpoint: Endpoint, expected: Expected) -> Iterator[Finding]:
    reply = _sent(endpoint, MALFORMED, expected)
    if reply is None:
        yield from _silent(endpoint, MALFORMED.name, unsent=0)
    elif not HTTPStatus.BAD_REQUEST <= reply.status < HTTPStatus.INTERNAL_SERVER_ERROR:
        why = f"the response has status {reply.status}"
        yield Finding(rule="malformed-accepted", what=f"{MALFORMED.name} was not refused", why=why)
