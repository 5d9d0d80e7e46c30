"""How do two halves of a server talk? The types of ASGI 3, and the few answers that we give ourselves."""

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
    """The first value of a header, whose name is given in small letters."""
    return next((value.decode("latin-1").strip() for key, value in scope["headers"] if key == name), None)


async def respond(
    send: Send, status: int, body: bytes, *, media_type: str = "application/json", headers: "tuple[Header, ...]" = ()
) -> None:
    """A whole response."""
    await send(head(status, len(body), media_type=media_type, headers=headers))
    await send({"type": "http.response.body", "body": body})


def head(status: int, length: int, *, media_type: str, headers: "tuple[Header, ...]" = ()) -> Message:
    """The message that a response begins with."""
    about = ((b"content-type", media_type.encode()), (b"content-length", str(length).encode()))
    return {"type": "http.response.start", "status": int(status), "headers": [*about, *headers]}


def complaint(scope: Message, status: HTTPStatus, sentence: str) -> bytes:
    """An error as the one who asked expects it: the V2 protocol has a form of its own, MLflow another."""
    if scope["path"].startswith("/v2"):
        return json.dumps({"error": sentence}).encode()
    return json.dumps({"error_code": CODES.get(status, "BAD_REQUEST"), "message": sentence}).encode()


async def complain(scope: Message, send: Send, status: HTTPStatus, sentence: str) -> None:
    """Say what is wrong, in the form that belongs to the path."""
    await respond(send, status, complaint(scope, status, sentence))
