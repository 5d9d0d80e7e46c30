"""Limits the body size and the duration of a request, and answers with an error when a limit is exceeded."""

import asyncio
from collections.abc import Iterable
from contextlib import suppress
from http import HTTPStatus

from .asgi import Asgi, Message, Receive, Send, error_body, head, header, respond_error

LINGER_S = 2.0  # seconds in which a client that sends too much can still read the error; RFC 9112, 9.6
BODYLESS = ("GET", "HEAD", "OPTIONS")


class TooLong(Exception):
    """The request body is longer than the limit."""


class Gone(Exception):
    """The client disconnected before it had sent the whole body."""


def limited(app: Asgi, *, body_limit: int, timeout: float) -> Asgi:
    """
    Read the body before the application is called, and answer 413, 408 or 504 when a limit is exceeded.

    No more than `body_limit` bytes are held. `timeout` is in seconds and covers reading and answering. A prediction
    that takes longer continues in its thread, which cannot be ended.
    """

    async def handle(scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] in BODYLESS:
            await app(scope, receive, send)
            return
        deadline = asyncio.get_running_loop().time() + timeout
        try:
            body = await asyncio.wait_for(read(scope, receive, body_limit), timeout)
        except TooLong:
            status = HTTPStatus.REQUEST_ENTITY_TOO_LARGE
            await refuse(
                scope, receive, send, status, f"The request body is longer than BODY_LIMIT ({body_limit} bytes)."
            )
            return
        except asyncio.TimeoutError:
            sentence = f"The request body did not arrive within REQUEST_TIMEOUT ({timeout:g} s)."
            await respond_error(scope, send, HTTPStatus.REQUEST_TIMEOUT, sentence)
            return
        except Gone:
            return
        started = asyncio.Event()
        remaining = deadline - asyncio.get_running_loop().time()
        try:
            await asyncio.wait_for(app(scope, replaying(body, receive), marking(send, started)), remaining)
        except asyncio.TimeoutError:
            if started.is_set():
                raise
            sentence = f"The model did not answer within REQUEST_TIMEOUT ({timeout:g} s)."
            await respond_error(scope, send, HTTPStatus.GATEWAY_TIMEOUT, sentence)

    return handle


async def read(scope: Message, receive: Receive, limit: int) -> bytes:
    """The whole body. Raises TooLong as soon as the limit is exceeded, Gone if the client disconnects."""
    if int(header(scope, b"content-length") or 0) > limit:
        raise TooLong
    parts: list[bytes] = []
    length = 0
    while True:
        message = await receive()
        if message["type"] != "http.request":
            raise Gone
        parts.append(message.get("body", b""))
        length += len(parts[-1])
        if length > limit:
            raise TooLong
        if not message.get("more_body", False):
            return b"".join(parts)


async def refuse(scope: Message, receive: Receive, send: Send, status: HTTPStatus, sentence: str) -> None:
    """
    Send an error, discard what the client still sends for up to LINGER_S, and close the connection.

    A connection that is closed with unread bytes is reset, and the client could not read the response.
    """
    body = error_body(scope, status, sentence)
    await send(head(status, len(body), media_type="application/json", headers=((b"connection", b"close"),)))
    await send({"type": "http.response.body", "body": body, "more_body": True})
    with suppress(asyncio.TimeoutError):
        await asyncio.wait_for(discard(receive), LINGER_S)
    await send({"type": "http.response.body", "body": b""})


async def discard(receive: Receive) -> None:
    """Read the rest of the body without keeping it."""
    more = True
    while more:
        message = await receive()
        more = message["type"] == "http.request" and message.get("more_body", False)


def replaying(body: bytes, receive: Receive) -> Receive:
    """A `receive` that returns the body in one message, then passes on further messages of the client."""
    messages: Iterable[Message] = [{"type": "http.request", "body": body, "more_body": False}]
    buffered = iter(messages)

    async def next_message() -> Message:
        return next(buffered, None) or await receive()

    return next_message


def marking(send: Send, started: asyncio.Event) -> Send:
    """A `send` that records that a response has begun: no other one can follow."""

    async def forward(message: Message) -> None:
        started.set()
        await send(message)

    return forward
