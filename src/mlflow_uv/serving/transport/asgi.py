"""Defines the ASGI 3 types and the responses that the server writes itself."""

import json
from collections.abc import Awaitable, Callable, MutableMapping
from http import HTTPStatus
from typing import Any

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Asgi = Callable[[Message, Receive, Send], Awaitable[None]]
Header = tuple[bytes, bytes]

CODES = {
    HTTPStatus.GATEWAY_TIMEOUT: "DEADLINE_EXCEEDED",
    HTTPStatus.INTERNAL_SERVER_ERROR: "INTERNAL_ERROR",
    HTTPStatus.NOT_FOUND: "ENDPOINT_NOT_FOUND",
}


def header(scope: Message, name: bytes) -> "str | None":
    """The first value of a header, None without one; `name` is lower case."""
    return next((value.decode("latin-1").strip() for key, value in scope["headers"] if key == name), None)


async def respond(
    send: Send, status: int, body: bytes, *, media_type: str = "application/json", headers: "tuple[Header, ...]" = ()
) -> None:
    """Send a complete response."""
    await send(head(status, len(body), media_type=media_type, headers=headers))
    await send({"type": "http.response.body", "body": body})


def head(status: int, length: int, *, media_type: str, headers: "tuple[Header, ...]" = ()) -> Message:
    """The `http.response.start` message of a response; `length` is the body's size in bytes."""
    entity_headers = ((b"content-type", media_type.encode()), (b"content-length", str(length).encode()))
    return {"type": "http.response.start", "status": int(status), "headers": [*entity_headers, *headers]}


def error_body(scope: Message, status: HTTPStatus, sentence: str) -> bytes:
    """The JSON body of an error: `{"error"}` below `/v2`, else MLflow's `{"error_code", "message"}`."""
    if scope["path"].startswith("/v2"):
        return json.dumps({"error": sentence}).encode()
    return json.dumps({"error_code": CODES.get(status, "BAD_REQUEST"), "message": sentence}).encode()


async def respond_error(scope: Message, send: Send, status: HTTPStatus, sentence: str) -> None:
    """Send an error response in the format that the path's protocol prescribes."""
    await respond(send, status, error_body(scope, status, sentence))
