"""Requests that two servers could read differently are refused."""

import asyncio
import json
from http import HTTPStatus

import pytest

from mlflow_uv.serving.transport.asgi import Header, Message
from mlflow_uv.serving.transport.http_framing import (
    BOTH,
    LONG,
    LONGEST_HEAD,
    OLD,
    SEVERAL,
    UNKNOWN,
    fault,
    reject_ambiguous,
)

FOUR, FIVE, CHUNKED = (b"content-length", b"4"), (b"content-length", b"5"), (b"transfer-encoding", b"chunked")


def scope_of(*headers: Header, version: str = "1.1", path: bytes = b"/ping", query: bytes = b"") -> Message:
    """The scope of a request."""
    return {
        "type": "http",
        "http_version": version,
        "headers": headers,
        "raw_path": path,
        "query_string": query,
        "path": path.decode(),
    }


@pytest.mark.parametrize(
    ("headers", "version", "expected"),
    [
        ((), "1.1", None),
        ((FOUR,), "1.0", None),
        ((FOUR, FOUR), "1.1", None),  # RFC 9112, 6.3: one valid value, repeated
        ((CHUNKED,), "1.1", None),
        ((FOUR, CHUNKED), "1.1", (HTTPStatus.BAD_REQUEST, BOTH)),
        ((FOUR, FIVE), "1.1", (HTTPStatus.BAD_REQUEST, SEVERAL)),
        ((CHUNKED,), "1.0", (HTTPStatus.BAD_REQUEST, OLD)),
        ((), "0.9", (HTTPStatus.HTTP_VERSION_NOT_SUPPORTED, UNKNOWN)),
        ((), "2", (HTTPStatus.HTTP_VERSION_NOT_SUPPORTED, UNKNOWN)),
    ],
)
def test_ambiguous_framing_is_a_fault(
    headers: tuple[Header, ...], version: str, expected: tuple[HTTPStatus, str] | None
) -> None:
    """
    By RFC 9112.
    """
    assert expected == fault(scope_of(*headers, version=version))


def test_the_head_has_a_longest_length() -> None:
    """
    The line and every header with its separator count.
    """
    path, query = b"/" * 100, b"q" * 20
    fits = (b"x", b"v" * (LONGEST_HEAD - 100 - 20 - 1 - 4))
    longer = (b"x", fits[1] + b"v")

    faults = [fault(scope_of(field, path=path, query=query)) for field in (fits, longer)]

    assert [None, (HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, LONG)] == faults


@pytest.mark.parametrize(
    ("scope", "called", "statuses"),
    [
        (scope_of(FOUR), True, []),
        (scope_of(FOUR, CHUNKED), False, [400]),
        ({"type": "lifespan"}, True, []),
    ],
    ids=["valid", "ambiguous", "no request"],
)
def test_an_ambiguous_request_does_not_reach_the_application(scope: Message, called: bool, statuses: list[int]) -> None:
    """
    Its connection is closed, since what follows cannot be parsed.
    """
    calls: list[Message] = []
    sent: list[Message] = []

    async def app(scope: Message, _receive: object, _send: object) -> None:
        calls.append(scope)

    async def receive() -> Message:
        return {"type": "http.disconnect"}

    async def send(message: Message) -> None:
        sent.append(message)

    async def serve() -> None:
        await reject_ambiguous(app)(scope, receive, send)

    asyncio.run(serve())

    heads = [message for message in sent if message["type"] == "http.response.start"]
    bodies = b"".join(message["body"] for message in sent if message["type"] == "http.response.body")
    assert (called, statuses) == (bool(calls), [message["status"] for message in heads])
    assert all((b"connection", b"close") in message["headers"] for message in heads)
    assert bool(calls) or json.loads(bodies)["message"] == BOTH
