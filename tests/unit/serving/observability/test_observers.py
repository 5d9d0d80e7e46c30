"""Every finished request is reported once, before its client can know, and counts as in flight until then."""

import asyncio
import json
import os
from collections.abc import MutableMapping
from typing import Any

import pytest

from mlflow_uv.serving.observability.observers import Exchange, ObservedApplication, log_as_json

Message = MutableMapping[str, Any]
SCOPE: Message = {"type": "http", "method": "POST", "path": "/invocations", "client": ("10.0.0.1", 5000)}
START: Message = {"type": "http.response.start", "status": 200, "headers": []}


def observed(*messages: Message, error: BaseException | None = None, scope: Message = SCOPE) -> tuple[Any, ...]:
    """What is reported, sent and counted for an application that sends these messages, then perhaps fails."""
    exchanges: list[Exchange] = []
    events: list[str] = []

    async def app(_scope: Message, _receive: Any, send: Any) -> None:
        for message in messages:
            await send(message)
        if error is not None:
            raise error

    async def send(_message: Message) -> None:
        events.append(f"sent {len(exchanges)} reported")

    async def receive() -> Message:
        return {}

    application = ObservedApplication(app, (exchanges.append,))
    application.on_in_flight = lambda number: events.append(f"{number} in flight")
    caught: list[BaseException] = []

    async def run() -> None:
        try:
            await application(scope, receive, send)
        except BaseException as problem:  # noqa: BLE001  # a test looks at it
            caught.append(problem)

    asyncio.run(run())
    return exchanges, events, application, caught


def test_an_exchange_is_reported_before_its_last_message() -> None:
    """
    A client that has the response finds it counted.
    """
    body = {"type": "http.response.body", "body": b"12345"}

    exchanges, events, application, _ = observed(START, body)

    (exchange,) = exchanges
    assert ("POST", "/invocations", 200, 5, "10.0.0.1") == (
        exchange.method, exchange.path, exchange.status, exchange.sent, exchange.client,
    )  # fmt: skip
    assert ["1 in flight", "sent 0 reported", "0 in flight", "sent 1 reported"] == events
    assert (0, 0) == (application.in_flight, application.aborted)


def test_a_body_of_known_length_ends_where_it_is_complete() -> None:
    """
    Some applications send an empty message after it.
    """
    start = {**START, "headers": [(b"content-length", b"4")]}
    parts = [{"type": "http.response.body", "body": b"12", "more_body": True} for _ in range(2)]
    last = {"type": "http.response.body", "body": b""}

    exchanges, events, _, _ = observed(start, *parts, last)

    assert ([4], 3) == ([exchange.sent for exchange in exchanges], events.index("0 in flight"))


def test_an_application_that_fails_is_reported_without_a_status() -> None:
    """
    Once, and its error goes on.
    """
    exchanges, _, application, caught = observed(error=ValueError("x"))

    assert ([0], 0, ValueError) == ([exchange.status for exchange in exchanges], application.aborted, type(caught[0]))


@pytest.mark.parametrize(("messages", "aborted"), [((), 1), ((START, {"type": "http.response.body", "body": b""}), 0)])
def test_a_request_that_is_cancelled_was_aborted_unless_it_was_answered(
    messages: tuple[Message, ...], aborted: int
) -> None:
    """
    What follows an answer is the client's affair.
    """
    exchanges, _, application, caught = observed(*messages, error=asyncio.CancelledError())

    assert (1, aborted, True) == (len(exchanges), application.aborted, isinstance(caught[0], asyncio.CancelledError))


def test_what_is_no_request_is_not_counted() -> None:
    """
    The messages by which a server starts and stops.
    """
    exchanges, events, _, _ = observed({"type": "lifespan.startup.complete"}, scope={"type": "lifespan"})

    assert ([], ["sent 0 reported"]) == (exchanges, events)


@pytest.mark.parametrize("path", ["/a", '/x\n{"injected": 1}', "/" + "x" * 5000, "/\u2028\x1b[2J"])
def test_a_line_of_the_log_is_one_line(capfd: pytest.CaptureFixture[str], path: str) -> None:
    """
    Whatever a client writes in a path; and no longer than a pipe takes at once, so that lines are not mixed.
    """
    log_as_json(Exchange("GET", path, 200, 3, 0.12345678, "10.0.0.1"))

    (line,) = capfd.readouterr().out.splitlines()
    entry = json.loads(line)
    assert (path[:500], 0.123457, os.getpid(), True) == (
        entry["path"], entry["seconds"], entry["worker"], len(line) < 4096,
    )  # fmt: skip
