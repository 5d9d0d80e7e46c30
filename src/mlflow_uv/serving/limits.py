"""What does one request cost at most? So many bytes, so many seconds; then it is told so, and the others go on."""

import asyncio
from collections.abc import Iterable
from contextlib import suppress
from http import HTTPStatus

from .asgi import Asgi, Message, Receive, Send, complain, complaint, head, header

LINGER = 2.0  # seconds in which a client that sends too much may still come to read why; RFC 9112, 9.6
BODYLESS = ("GET", "HEAD", "OPTIONS")


class TooLong(Exception):
    """The body is longer than the limit."""


class Gone(Exception):
    """The client left before it had said everything."""


def limited(app: Asgi, *, body_limit: int, timeout: float) -> Asgi:
    """
    Read the body before anything else happens, and answer with a status and a sentence when a limit is met.

    No more than the limit is ever held. What takes too long is left alone: a thread cannot be ended, and goes on.
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
                scope, receive, send, status, f"The body is longer than BODY_LIMIT allows, {body_limit} bytes."
            )
            return
        except asyncio.TimeoutError:
            sentence = f"The body did not arrive within REQUEST_TIMEOUT, {timeout:g} s."
            await complain(scope, send, HTTPStatus.REQUEST_TIMEOUT, sentence)
            return
        except Gone:
            return
        started = asyncio.Event()
        remaining = deadline - asyncio.get_running_loop().time()
        try:
            await asyncio.wait_for(app(scope, replaying(body, receive), noticing(send, started)), remaining)
        except asyncio.TimeoutError:
            if started.is_set():
                raise
            sentence = f"The model did not answer within REQUEST_TIMEOUT, {timeout:g} s."
            await complain(scope, send, HTTPStatus.GATEWAY_TIMEOUT, sentence)

    return handle


async def read(scope: Message, receive: Receive, limit: int) -> bytes:
    """The whole body. Raises TooLong as soon as it is known, Gone if the client breaks off."""
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
    Say that it is too much, or wrong, and throw away what still comes for a moment; the connection ends with it.

    A connection that is closed on unread bytes is reset, and the client would never read the answer.
    """
    body = complaint(scope, status, sentence)
    await send(head(status, len(body), media_type="application/json", headers=((b"connection", b"close"),)))
    await send({"type": "http.response.body", "body": body, "more_body": True})
    with suppress(asyncio.TimeoutError):
        await asyncio.wait_for(discard(receive), LINGER)
    await send({"type": "http.response.body", "body": b""})


async def discard(receive: Receive) -> None:
    """Read to the end, keep nothing."""
    more = True
    while more:
        message = await receive()
        more = message["type"] == "http.request" and message.get("more_body", False)


def replaying(body: bytes, receive: Receive) -> Receive:
    """The body that was read, in one message; then whatever else the client has to say."""
    whole: Iterable[Message] = [{"type": "http.request", "body": body, "more_body": False}]
    once = iter(whole)

    async def next_message() -> Message:
        return next(once, None) or await receive()

    return next_message


def noticing(send: Send, started: asyncio.Event) -> Send:
    """Remember that an answer has begun: a second one cannot be given."""

    async def forward(message: Message) -> None:
        started.set()
        await send(message)

    return forward
