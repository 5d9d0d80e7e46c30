"""Sends the recorded requests and a malformed one to a model server, and compares the responses."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import field, replace
from http import HTTPStatus
from typing import Any

from ...command.errors import NotServing
from ...command.lazy_pattern import lazy_pattern
from ...command.report import Finding, Severity, counted
from ...command.server_inputs import ANSWER_S
from ...command.wording import Wording, option
from ...core.image.system_libraries import base_image_fix, install_fix, missing_library
from ...core.model.answer_paths import AnswerPath, without_paths
from ...core.model.answer_wording import difference_fix, format_differences, reason_of
from ...core.model.answers import differences
from ...core.model.recorded_requests import DEFAULT_URL, RecordedRequest, RequestOrigin, sending_fix
from ...core.model.streams import read_stream
from ...core.security.documents import parse_json
from ...core.security.serve_env import NO_VARIABLES, ServeVariables
from ...payloads.messages.lazy_dataclass import lazy_dataclass
from ...tools.engines.engine import ServingContainer
from ...tools.mlflow.model_requests import ModelReply, ModelRequest, readiness_request
from ...tools.mlflow.model_server import ServerProcess
from ...tools.toolbox import Tools
from .stream_check import stream_findings

POLL_S = 0.2
GRACE_S = 5.0
MOST_DERIVED = 5  # findings about derived requests
MALFORMED = RecordedRequest(
    name="a malformed request", origin=RequestOrigin.DERIVED, body='{"this is": "not a request', status=400
)
# Messages of Linux, glibc and musl if another machine cannot be reached.
_UNREACHABLE = lazy_pattern(
    r"network is unreachable|name resolution|name or service not known|name does not resolve|failed to resolve",
    re.IGNORECASE,
)


@lazy_dataclass
class Expected:
    """
    The recorded requests with their responses, the tolerance, the ignored paths and the time limits in seconds.

    `network` says that the server has a network, `serve_env` are the variables of its model. `url` is the address in
    commands that repeat a request, empty if no address leads to the server, and `headers` are names of variables by the
    header that such a command sends.
    """

    requests: tuple[RecordedRequest, ...]
    tolerance: float
    deadline_s: float
    network: bool
    ignored: tuple[AnswerPath, ...] = ()
    answer_s: float = ANSWER_S
    serve_env: ServeVariables = NO_VARIABLES
    url: str = DEFAULT_URL
    headers: Mapping[str, str] = field(default_factory=dict)

    def of(self, *origins: RequestOrigin) -> tuple[RecordedRequest, ...]:
        """The requests of these origins."""
        return tuple(request for request in self.requests if request.origin in origins)

    def sending(self, request: RecordedRequest) -> str:
        """The command that repeats a request; empty if no address leads to the server."""
        return "" if not self.url else sending_fix(request, self.url, self.headers)


@lazy_dataclass
class ObservedServer:
    """The answers of a server (of a refusal, the status), and findings about them."""

    healthy_after_s: float
    answers: list[Any]
    complaints: tuple[Finding, ...]
    slowest_s: float = 0.0


def observe(server: ServingContainer, expected: Expected, tools: Tools) -> ObservedServer:
    """
    Wait until a server is healthy and send all requests. Raises NotServing after printing the server's log.

    Derived requests are only sent to a server that passes all others: they would repeat its findings.
    """
    healthy_after = _wait_until_healthy(server, expected, tools)
    answers: list[Any] = []
    complaints: list[Finding] = []
    slowest = 0.0
    for request in expected.of(RequestOrigin.EXAMPLE, RequestOrigin.FILE, RequestOrigin.STREAM):
        begun = tools.clock.now_s()
        # The server enforces the time limit itself.
        reply = server.send(model_request(request, expected.answer_s + GRACE_S))
        seconds = tools.clock.now_s() - begun
        slowest = max(slowest, seconds)
        if reply is None and seconds < expected.answer_s:
            _await_end(server, tools)
        answers.append(answer_in(reply))
        complaints.extend(check_reply(request, reply, expected, server))
    complaints.extend(_accepting_anything(server))
    if not complaints and (derived := expected.of(RequestOrigin.DERIVED)):
        replies = server.send_all([model_request(item, expected.answer_s + GRACE_S) for item in derived])
        if None in replies:
            _await_end(server, tools)
        answers += map(answer_in, replies)
        complaints.extend(_derived_findings(server, expected, derived, replies))
    if (code := server.code()) is not None:
        # The responses may come from another program.
        what = f"the server exited with {code} during the test"
        complaints.append(Finding(rule="server-ended", what=what, why=last_line(server)))
    return ObservedServer(
        healthy_after_s=healthy_after, answers=answers, complaints=tuple(complaints), slowest_s=slowest
    )


def _await_end(server: ServingContainer, tools: Tools) -> None:
    """Give a server that closed the connection the time to exit: the connection ends before the process does."""
    until = tools.clock.now_s() + GRACE_S
    while server.code() is None and tools.clock.now_s() < until:
        tools.clock.wait(POLL_S)


def show_log(server: ServingContainer, tools: Tools) -> None:
    """Print the last 200 lines of a server's log."""
    with tools.console.group("log of the server", folded=False):
        for line in server.log().splitlines()[-200:]:
            tools.console.foreign(line)


def check_reply(
    request: RecordedRequest, reply: ModelReply | None, expected: Expected, server: ServingContainer
) -> Iterator[Finding]:
    """Yield what differs between the reply to a request and the response of the training environment."""
    if reply is None and server.code() is not None:
        yield Finding(rule="case-refused", what=f"{request.name} got no response", why="the server ended")
    elif reply is None or reply.status == HTTPStatus.GATEWAY_TIMEOUT:
        slow = Wording(option("answer-timeout", "SECONDS"), " if it only needs longer")
        yield Finding(
            rule="case-refused",
            what=f"{request.name} got no response within {expected.answer_s:g} s",
            why=expected.serve_env.masked(last_line(server)),
            fix=_fix(server, expected) or slow,
        )
    elif not request.is_answered:
        yield from _wrongly_accepted(request, reply, expected)
    elif reply.status != HTTPStatus.OK:
        why = f"status {reply.status}: {expected.serve_env.masked(reason_of(reply.body))}"
        fix = _fix(server, expected) or expected.sending(request)
        yield Finding(rule="case-refused", what=f"{request.name} got no prediction", why=why, fix=fix)
    elif request.is_stream:
        compared = expected.ignored, expected.tolerance
        findings = stream_findings(request, reply.body, compared, sending=expected.sending(request))
        yield from (replace(finding, why=expected.serve_env.masked(finding.why)) for finding in findings)
    else:
        yield from _differing(request, reply, expected)


def _wrongly_accepted(request: RecordedRequest, reply: ModelReply, expected: Expected) -> Iterator[Finding]:
    """
    Yield a finding about a request that training refuses and the server does not refuse with a 4xx and a message.

    Where training itself fails (5xx), such as at an exception that MLflow does not handle, the server may, too: it
    responds 400 if the request could not be read, else 500.
    """
    highest = HTTPStatus.BAD_REQUEST + (200 if request.status >= HTTPStatus.INTERNAL_SERVER_ERROR else 100)
    training = f"the training environment responds with status {request.status}: {request.reason}"
    if not HTTPStatus.BAD_REQUEST <= reply.status < highest:
        failed = ": the server failed" if reply.status >= HTTPStatus.INTERNAL_SERVER_ERROR else ""
        yield Finding(
            rule="malformed-accepted",
            what=f"{request.name} was not refused{failed}",
            why=f"the response has status {reply.status}; {training}",
            fix=expected.sending(request),
        )
    elif not reason_of(reply.body).strip():
        yield Finding(
            rule="malformed-accepted",
            what=f"{request.name} was refused without a message",
            why=f"the response has status {reply.status} and no body",
            fix=expected.sending(request),
        )


def _differing(request: RecordedRequest, reply: ModelReply, expected: Expected) -> Iterator[Finding]:
    try:
        answer = parse_json(reply.body)
    except (ValueError, RecursionError) as error:
        yield Finding(
            rule="case-refused",
            what=f"the response to {request.name} cannot be read as JSON",
            why=expected.serve_env.masked(str(error)),
            fix=expected.sending(request),
        )
        return
    compared = (without_paths(request.answer, expected.ignored), without_paths(answer, expected.ignored))
    differences_found = tuple(differences(*compared, tolerance=expected.tolerance))
    if differences_found:
        sending = f"; {fix}" if (fix := expected.sending(request)) else ""
        yield Finding(
            rule="answers-differ",
            what=f"the prediction for {request.name} is not that of training",
            why=expected.serve_env.masked(format_differences(differences_found)),
            fix=Wording(difference_fix(differences_found), sending),
        )


def _derived_findings(
    server: ServingContainer,
    expected: Expected,
    derived: Sequence[RecordedRequest],
    replies: Sequence[ModelReply | None],
) -> Iterator[Finding]:
    """Yield the first findings about derived requests, up to one without a response, and count the others."""
    number = 0
    for position, (request, reply) in enumerate(zip(derived, replies, strict=True), start=1):
        for finding in check_reply(request, reply, expected, server):
            number += 1
            if number <= MOST_DERIVED:
                yield finding
        if reply is None:
            if position < len(derived):
                yield Finding(
                    rule="derived-unsent",
                    severity=Severity.NOTICE,
                    what=f"{counted(len(derived) - position, 'more derived request')} not sent",
                    why=f"the server did not respond to {request.name!r}",
                )
            break
    if number > MOST_DERIVED:
        more = counted(number - MOST_DERIVED, "more derived request")
        yield Finding(rule="answers-differ", what=f"{more} got another response than in the training environment")


def answer_in(reply: ModelReply | None) -> Any:
    """The JSON or the chunks of a prediction, or the status of another response, for the digest in the record."""
    if reply is None:
        return None
    if reply.status != HTTPStatus.OK:
        return {"status": reply.status}
    try:
        stream = read_stream(reply.body)
        return parse_json(reply.body) if stream is None else list(stream.chunks)
    except (ValueError, RecursionError):
        return None


def _accepting_anything(server: ServingContainer) -> Iterator[Finding]:
    """Yield a finding about a server that accepts a malformed request."""
    reply = server.send(model_request(MALFORMED, ANSWER_S))
    if reply is None or not HTTPStatus.BAD_REQUEST <= reply.status < HTTPStatus.INTERNAL_SERVER_ERROR:
        why = "there was no response" if reply is None else f"the response has status {reply.status}"
        yield Finding(rule="malformed-accepted", what=f"{MALFORMED.name} was not refused", why=why)


def model_request(request: RecordedRequest, timeout_s: float) -> ModelRequest:
    """A recorded request as it is sent, byte for byte."""
    return ModelRequest(
        method="POST",
        path="/invocations",
        body=request.body.encode(),
        timeout_s=timeout_s,
        content_type=request.content_type,
    )


def _wait_until_healthy(server: ServingContainer, expected: Expected, tools: Tools) -> float:
    """Return the seconds until GET /ping answered 200."""
    started = tools.clock.now_s()
    while (passed := tools.clock.now_s() - started) < expected.deadline_s:
        reply = server.send(readiness_request("/ping", expected.deadline_s - passed))
        if reply is not None and reply.status == HTTPStatus.OK:
            return tools.clock.now_s() - started
        code = server.code()
        if code is not None:
            show_log(server, tools)
            what = f"the server exited with {code} before it was healthy"
            raise NotServing(what=what, why=last_line(server), fix=_fix(server, expected))
        tools.clock.wait(POLL_S)
    show_log(server, tools)
    raise NotServing(
        what=f"the server was not healthy within {expected.deadline_s:.0f} s",
        why=last_line(server),
        fix=_fix(server, expected) or Wording(option("deadline", "SECONDS"), " if it only needs longer"),
    )


def _fix(server: ServingContainer, expected: Expected) -> str:
    """Return the fix for a missing library or network, from the server's log; empty if neither is missing."""
    if absent := missing_library(server.log()):
        return install_fix(absent) if isinstance(server, ServerProcess) else base_image_fix([absent])
    if expected.network or _UNREACHABLE.search(server.log()) is None:
        return ""
    return Wording(option("serve-network"), " if the model needs a network")


def last_line(server: ServingContainer) -> str:
    """The last line of a server's log that is not empty."""
    lines = [line.strip() for line in server.log().splitlines() if line.strip()]
    return lines[-1] if lines else "it printed nothing"
