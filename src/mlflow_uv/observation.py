"""Asks a model server the recorded cases and a malformed one, and compares what it answers with what is expected."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from .core.answers import differences
from .core.digests import canonical
from .core.documents import parse_json
from .errors import NotServing
from .report import Finding
from .tools.engine import Served
from .tools.http import Reply, Request
from .tools.toolbox import Tools
from .wording import Wording, option

POLL_S = 0.2
ANSWER_S = 60.0
MALFORMED = b'{"this is": "not a request'
SHOWN = 5
# What a model prints that cannot reach another machine, in the words of Linux, glibc and musl.
_UNREACHABLE = re.compile(
    r"network is unreachable|name resolution|name or service not known|name does not resolve|failed to resolve",
    re.IGNORECASE,
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Expected:
    """
    The answer to each case, how far one may be off, and how long the server has to become healthy.

    `network` says that the server has one.
    """

    cases: list[Any]
    answers: list[Any]
    tolerance: float
    deadline_s: float
    network: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class Observed:
    """What a server answered, and what is wrong with it."""

    healthy_after_s: float
    answers: list[Any]
    complaints: tuple[Finding, ...]


def observe(server: Served, expected: Expected, tools: Tools) -> Observed:
    """Wait until a server is healthy and ask it everything. Raises NotServing with the server's log shown."""
    healthy_after = _wait_until_healthy(server, expected, tools)
    answers: list[Any] = []
    complaints: list[Finding] = []
    for number, case in enumerate(expected.cases, start=1):
        answer, refusal = _answer(server, number, case)
        answers.append(answer)
        if refusal is not None:
            fix = _network_fix(server, expected)
            complaints.append(Finding(rule="case-refused", what=refusal[0], why=refusal[1], fix=fix))
        else:
            complaints.extend(_differing(number, expected.answers[number - 1], answer, expected.tolerance))
    complaints.extend(_accepting_anything(server))
    if (code := server.code()) is not None:
        # Whoever answered, it was not what we started.
        what = f"the server ended with {code} while it was asked"
        complaints.append(Finding(rule="server-ended", what=what, why=_last_line(server)))
    return Observed(healthy_after_s=healthy_after, answers=answers, complaints=tuple(complaints))


def show_log(server: Served, tools: Tools) -> None:
    """Show the end of what a server printed."""
    with tools.voice.group("log of the server", folded=False):
        for line in server.log().splitlines()[-200:]:
            tools.voice.foreign(line)


def _answer(server: Served, number: int, case: object) -> tuple[Any, tuple[str, str] | None]:
    """The answer to a case; else None, with what is wrong and why."""
    reply = _invoked(server, canonical(case))
    if reply is None or reply.status != 200:  # noqa: PLR2004  # OK
        why = "there was no answer in time" if reply is None else f"status {reply.status}: {reply.body[:500]}"
        return None, (f"case {number} was not answered", why)
    try:
        return parse_json(reply.body), None
    except (ValueError, RecursionError):
        return None, (f"case {number} was not answered in JSON", "")


def _differing(number: int, expected: object, answer: object, tolerance: float) -> Iterator[Finding]:
    found = list(differences(expected, answer, tolerance=tolerance))
    if found:
        more = f"; and {len(found) - SHOWN} more" if len(found) > SHOWN else ""
        yield Finding(
            rule="answers-differ",
            what=f"case {number} is not answered as training answered it",
            why="; ".join(found[:SHOWN]) + more,
            fix=Wording("look for what differs between the two environments, or set ", option("tolerance", "NUMBER")),
        )


def _accepting_anything(server: Served) -> Iterator[Finding]:
    """A complaint about a server that does not refuse what is no request."""
    reply = _invoked(server, MALFORMED)
    if reply is None or not 400 <= reply.status < 500:  # noqa: PLR2004  # client errors
        why = "there was no answer" if reply is None else f"the answer has status {reply.status}"
        yield Finding(rule="malformed-accepted", what="a malformed request was not refused", why=why)


def _invoked(server: Served, body: bytes) -> Reply | None:
    return server.ask(Request(method="POST", path="/invocations", body=body, timeout_s=ANSWER_S))


def _wait_until_healthy(server: Served, expected: Expected, tools: Tools) -> float:
    """Seconds until GET /ping answered 200."""
    started = tools.clock.now_s()
    while (passed := tools.clock.now_s() - started) < expected.deadline_s:
        reply = server.ask(Request(method="GET", path="/ping", timeout_s=5))
        if reply is not None and reply.status == 200:  # noqa: PLR2004  # OK
            return passed
        code = server.code()
        if code is not None:
            show_log(server, tools)
            what = f"the server ended with {code} before it was healthy"
            raise NotServing(what=what, why=_last_line(server), fix=_network_fix(server, expected))
        tools.clock.wait(POLL_S)
    show_log(server, tools)
    raise NotServing(
        what=f"the server was not healthy within {expected.deadline_s:.0f} s",
        why=_last_line(server),
        fix=_network_fix(server, expected) or Wording(option("deadline", "SECONDS"), " if it only needs longer"),
    )


def _network_fix(server: Served, expected: Expected) -> str:
    """What helps a model that looked for another machine, which its log tells; nothing for any other."""
    if expected.network or _UNREACHABLE.search(server.log()) is None:
        return ""
    return Wording(option("serve-network"), " if the model needs a network")


def _last_line(server: Served) -> str:
    lines = [line.strip() for line in server.log().splitlines() if line.strip()]
    return lines[-1] if lines else "it printed nothing"
