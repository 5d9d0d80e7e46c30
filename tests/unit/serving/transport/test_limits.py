"""A request is read whole within its limits before the application gets it."""

import asyncio
import json
from collections.abc import Callable

import pytest

from mlflow_uv.serving.transport import limits
from mlflow_uv.serving.transport.asgi import Asgi, Message, Receive, Send
from tests.waiting import CEILING_S

LIMIT = 10
DISCONNECT: Message = {"type": "http.disconnect"}


def part(body: bytes, *, more: bool = False) -> Message:
    """A message of a client."""
    return {"type": "http.request", "body": body, "more_body": more}


def answered(
    *messages: Message, app: Asgi, timeout_s: float = CEILING_S, length: int | None = None, method: str = "POST"
) -> list[Message]:
    """What the server sends to a client that sends these messages, and then nothing more."""
    sent: list[Message] = []
    waiting = iter(messages)
    headers = [] if length is None else [(b"content-length", str(length).encode())]
    scope: Message = {"type": "http", "method": method, "path": "/invocations", "headers": headers}

    async def receive() -> Message:
        for message in waiting:
            return message
        await asyncio.sleep(2 * CEILING_S)
        raise AssertionError("nobody sends that long")

    async def send(message: Message) -> None:
        sent.append(message)

    async def serve() -> None:
        await limits.limited(app, body_limit=LIMIT, timeout=timeout_s)(scope, receive, send)

    asyncio.run(serve())
    return sent


def status_of(sent: list[Message]) -> tuple[int, str]:
    """The status and the sentence of an error, which has the same length as its header says."""
    start, *bodies = sent
    body = b"".join(message["body"] for message in bodies)
    assert str(len(body)).encode() == dict(start["headers"])[b"content-length"]
    return start["status"], json.loads(body)["message"]


def echo(received: list[Message], number: int = 1) -> Asgi:
    """An application that keeps the first messages of the client."""

    async def app(_scope: Message, receive: Receive, send: Send) -> None:
        received.extend([await receive() for _ in range(number)])
        await send({"type": "http.response.start", "status": 200, "headers": []})

    return app


def test_the_application_gets_the_body_in_one_message() -> None:
    """
    And then what the client sends, such as its end.
    """
    received: list[Message] = []

    sent = answered(part(b"ab", more=True), part(b"", more=True), part(b"cd"), DISCONNECT, app=echo(received, 2))

    assert ([part(b"abcd"), DISCONNECT], [200]) == (received, [message["status"] for message in sent])


@pytest.mark.parametrize("method", limits.BODYLESS)
def test_a_request_without_a_body_is_passed_on_unread(method: str) -> None:
    """
    Its application reads what there is.
    """
    received: list[Message] = []

    answered(part(b"x" * 99), app=echo(received), method=method, length=99)

    assert [part(b"x" * 99)] == received


@pytest.mark.parametrize(
    ("messages", "length", "refused"),
    [
        ((part(b"x" * LIMIT),), LIMIT, False),
        ((part(b"x" * LIMIT, more=True), part(b"")), None, False),
        ((part(b""), DISCONNECT), LIMIT + 1, True),
        ((part(b"x" * LIMIT, more=True), part(b"x", more=True), part(b"x"), DISCONNECT), None, True),
    ],
    ids=["at the limit", "in parts", "declared", "in parts, longer"],
)
def test_a_longer_body_is_refused(messages: tuple[Message, ...], length: int | None, refused: bool) -> None:
    """
    By its declared length before it is read, else as soon as it is longer; the connection is closed.
    """
    received: list[Message] = []

    sent = answered(*messages, app=echo(received), length=length)

    if refused:
        assert ([], (413, "The request body is longer than BODY_LIMIT (10 bytes).")) == (received, status_of(sent))
        assert (b"connection", b"close") in sent[0]["headers"]
    else:
        assert [part(b"x" * LIMIT)] == received


def test_a_body_that_does_not_arrive_in_time_is_a_408() -> None:
    """
    The limit includes reading.
    """
    sent = answered(part(b"x", more=True), app=echo([]), timeout_s=0.05)

    assert (408, "The request body did not arrive within REQUEST_TIMEOUT (0.05 s).") == status_of(sent)


def test_a_client_that_leaves_gets_no_answer() -> None:
    """
    And the application is not called.
    """
    received: list[Message] = []

    assert ([], []) == (answered(part(b"x", more=True), DISCONNECT, app=echo(received)), received)


def test_a_model_that_does_not_answer_in_time_is_a_504() -> None:
    """
    Of the time that reading left.
    """

    async def slow(_scope: Message, _receive: Receive, _send: Send) -> None:
        await asyncio.sleep(2 * CEILING_S)

    sent = answered(part(b"x"), app=slow, timeout_s=0.05)

    assert (504, "The model did not answer within REQUEST_TIMEOUT (0.05 s).") == status_of(sent)


def test_a_response_that_has_begun_is_not_followed_by_another() -> None:
    """
    The server closes the connection instead.
    """

    async def stuck(_scope: Message, _receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await asyncio.sleep(2 * CEILING_S)

    with pytest.raises(TimeoutError):
        answered(part(b"x"), app=stuck, timeout_s=0.05)


@pytest.mark.parametrize("end", [lambda: part(b"x"), lambda: DISCONNECT], ids=["end", "disconnect"])
def test_the_rest_of_a_body_is_discarded_to_its_end(end: Callable[[], Message]) -> None:
    """
    Or until the client leaves.
    """
    messages = [part(b"x", more=True), part(b"x", more=True), end(), part(b"next")]

    async def receive() -> Message:
        return messages.pop(0)

    asyncio.run(limits.discard(receive))

    assert [part(b"next")] == messages
