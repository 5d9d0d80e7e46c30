"""Sends the recorded requests and a malformed one to a model server, and compares the responses."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from ...command.errors import NotServing
from ...command.report import Finding
from ...command.wording import Wording, option
from ...core.image.system_libraries import base_image_fix, install_fix, missing_library
from ...core.model.answer_paths import AnswerPath, without_paths
from ...core.model.answer_wording import difference_fix, format_differences, reason_of
from ...core.model.answers import differences, request_body
from ...core.security.documents import parse_json
from ...core.security.serve_env import NO_VARIABLES, ServeVariables
from ...tools.engines.engine import ServingContainer
from ...tools.mlflow.model_requests import ModelReply, ModelRequest
from ...tools.mlflow.model_server import ServerProcess
from ...tools.toolbox import Tools

POLL_S = 0.2
ANSWER_S = 60.0  # also the default of the server
GRACE_S = 5.0
MALFORMED = b'{"this is": "not a request'
# Messages of Linux, glibc and musl if another machine cannot be reached.
_UNREACHABLE = re.compile(
    r"network is unreachable|name resolution|name or service not known|name does not resolve|failed to resolve",
    re.IGNORECASE,
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Expected:
    """
    The recorded requests (`cases`) and answers, the tolerance, the ignored paths and the time limits in seconds.

    `network` says that the server has a network, `handed` are the variables that its model gets.
    """

    cases: list[Any]
    answers: list[Any]
    tolerance: float
    deadline_s: float
    network: bool
    ignored: tuple[AnswerPath, ...] = ()
    answer_s: float = ANSWER_S
    handed: ServeVariables = NO_VARIABLES


@dataclass(frozen=True, kw_only=True, slots=True)
class ObservedServer:
    """The answers of a server, and findings about them."""

    healthy_after_s: float
    answers: list[Any]
    complaints: tuple[Finding, ...]
    slowest_s: float = 0.0


def observe(server: ServingContainer, expected: Expected, tools: Tools) -> ObservedServer:
    """Wait until a server is healthy and send all requests. Raises NotServing after printing the server's log."""
    healthy_after = _wait_until_healthy(server, expected, tools)
    answers: list[Any] = []
    complaints: list[Finding] = []
    slowest = 0.0
    for number, case in enumerate(expected.cases, start=1):
        begun = tools.clock.now_s()
        answer, refusal = _answer(server, number, case, expected)
        slowest = max(slowest, tools.clock.now_s() - begun)
        answers.append(answer)
        if refusal is not None:
            complaints.append(refusal)
        else:
            complaints.extend(_differing(number, answer, expected))
    complaints.extend(_accepting_anything(server))
    if (code := server.code()) is not None:
        # The responses may come from another program.
        what = f"the server exited with {code} during the test"
        complaints.append(Finding(rule="server-ended", what=what, why=_last_line(server)))
    return ObservedServer(
        healthy_after_s=healthy_after, answers=answers, complaints=tuple(complaints), slowest_s=slowest
    )


def show_log(server: ServingContainer, tools: Tools) -> None:
    """Print the last 200 lines of a server's log."""
    with tools.console.group("log of the server", folded=False):
        for line in server.log().splitlines()[-200:]:
            tools.console.foreign(line)


def _answer(server: ServingContainer, number: int, case: object, expected: Expected) -> tuple[Any, Finding | None]:
    """Return the answer to a request, or None and a finding."""
    # The server enforces the time limit itself.
    reply = _invoked(server, request_body(case), expected.answer_s + GRACE_S)
    if reply is None and server.code() is not None:
        return None, Finding(
            rule="case-refused", what=f"recorded request {number} got no response", why="the server ended"
        )
    if reply is None or reply.status == 504:  # noqa: PLR2004  # gateway timeout
        slow = Wording(option("answer-timeout", "SECONDS"), " if it only needs longer")
        return None, Finding(
            rule="case-refused",
            what=f"recorded request {number} got no response within {expected.answer_s:g} s",
            why=expected.handed.masked(_last_line(server)),
            fix=_fix(server, expected) or slow,
        )
    if reply.status != 200:  # noqa: PLR2004  # OK
        why = f"status {reply.status}: {expected.handed.masked(reason_of(reply.body))}"
        fix = _fix(server, expected)
        return None, Finding(rule="case-refused", what=f"recorded request {number} got no prediction", why=why, fix=fix)
    try:
        return parse_json(reply.body), None
    except (ValueError, RecursionError):
        return None, Finding(rule="case-refused", what=f"the response to recorded request {number} is not JSON")


def _differing(number: int, answer: object, expected: Expected) -> Iterator[Finding]:
    expected_answer, actual_answer = (
        without_paths(expected.answers[number - 1], expected.ignored),
        without_paths(answer, expected.ignored),
    )
    differences_found = tuple(differences(expected_answer, actual_answer, tolerance=expected.tolerance))
    if differences_found:
        yield Finding(
            rule="answers-differ",
            what=f"the prediction for recorded request {number} is not that of training",
            why=expected.handed.masked(format_differences(differences_found)),
            fix=difference_fix(differences_found),
        )


def _accepting_anything(server: ServingContainer) -> Iterator[Finding]:
    """Yield a finding about a server that accepts a malformed request."""
    reply = _invoked(server, MALFORMED, ANSWER_S)
    if reply is None or not 400 <= reply.status < 500:  # noqa: PLR2004  # client errors
        why = "there was no response" if reply is None else f"the response has status {reply.status}"
        yield Finding(rule="malformed-accepted", what="a malformed request was not refused", why=why)


def _invoked(server: ServingContainer, body: bytes, answer_s: float) -> ModelReply | None:
    return server.send(ModelRequest(method="POST", path="/invocations", body=body, timeout_s=answer_s))


def _wait_until_healthy(server: ServingContainer, expected: Expected, tools: Tools) -> float:
    """Return the seconds until GET /ping answered 200."""
    started = tools.clock.now_s()
    while (passed := tools.clock.now_s() - started) < expected.deadline_s:
        reply = server.send(ModelRequest(method="GET", path="/ping", timeout_s=5))
        if reply is not None and reply.status == 200:  # noqa: PLR2004  # OK
            return passed
        code = server.code()
        if code is not None:
            show_log(server, tools)
            what = f"the server exited with {code} before it was healthy"
            raise NotServing(what=what, why=_last_line(server), fix=_fix(server, expected))
        tools.clock.wait(POLL_S)
    show_log(server, tools)
    raise NotServing(
        what=f"the server was not healthy within {expected.deadline_s:.0f} s",
        why=_last_line(server),
        fix=_fix(server, expected) or Wording(option("deadline", "SECONDS"), " if it only needs longer"),
    )


def _fix(server: ServingContainer, expected: Expected) -> str:
    """Return the fix for a missing library or network, from the server's log; empty if neither is missing."""
    if absent := missing_library(server.log()):
        return install_fix(absent) if isinstance(server, ServerProcess) else base_image_fix([absent])
    if expected.network or _UNREACHABLE.search(server.log()) is None:
        return ""
    return Wording(option("serve-network"), " if the model needs a network")


def _last_line(server: ServingContainer) -> str:
    lines = [line.strip() for line in server.log().splitlines() if line.strip()]
    return lines[-1] if lines else "it printed nothing"
