"""How the chunks of a generator are sent, and when it is closed."""

import asyncio
import threading
from collections.abc import Generator
from typing import Any

import pytest

from mlflow_uv.serving.transport.events import DONE, START, respond_with_events
from tests.waiting import CEILING_S

Message = Any


def responded(*chunks: Any, leaves_after: int | None = None) -> tuple[list[Message], Exception | None, bool]:
    """The messages, the error that was returned, and whether the generator was closed; an error is raised in turn."""
    sent: list[Message] = []
    closed = threading.Event()

    def generated() -> "Generator[str, None, None]":
        try:
            for chunk in chunks:
                if isinstance(chunk, BaseException):
                    raise chunk
                yield chunk
        finally:
            closed.set()

    async def respond() -> "Exception | None":
        gone = asyncio.Event()

        async def receive() -> Message:
            await gone.wait()
            return {"type": "http.disconnect"}

        async def send(message: Message) -> None:
            sent.append(message)
            if len(sent) == leaves_after:
                gone.set()

        return await respond_with_events(generated, receive, send)

    error = asyncio.run(respond())
    return sent, error, closed.wait(CEILING_S)


def bodies(messages: list[Message]) -> list[bytes]:
    """The parts of the body, of a response that is complete."""
    assert START == messages[0]
    assert [True] * (len(messages) - 2) + [False] == [message["more_body"] for message in messages[1:]]
    return [message["body"] for message in messages[1:]]


@pytest.mark.parametrize("chunks", [(), ('"a"', "1")], ids=["none", "two"])
def test_each_chunk_is_an_event_and_the_last_says_so(chunks: tuple[str, ...]) -> None:
    """
    Also of a stream without chunks.
    """
    sent, error, closed = responded(*chunks)

    assert ([*(f"data: {chunk}\n\n".encode() for chunk in chunks), DONE], None, True) == (bodies(sent), error, closed)


@pytest.mark.parametrize(
    "failure",
    [ValueError("no more"), SystemExit("no more"), KeyboardInterrupt("no more")],
    ids=["error", "exit", "interrupt"],
)
def test_an_error_after_the_first_chunk_is_the_last_one(failure: BaseException) -> None:
    """
    With its message, as MLflow's agent server sends it.
    """
    sent, error, _ = responded("1", failure)

    assert ([b"data: 1\n\n", b'data: {"error": "no more"}\n\n', DONE], None) == (bodies(sent), error)


def test_an_error_before_the_first_chunk_is_returned() -> None:
    """
    Nothing was sent, so that the response can still have a status.
    """
    failure = ValueError("no")

    assert ([], failure) == responded(failure)[:2]
    assert ["SystemExit: 3", "KeyboardInterrupt: 3"] == [
        str(responded(kind(3))[1]) for kind in (SystemExit, KeyboardInterrupt)
    ]


def test_a_client_that_leaves_ends_an_endless_stream() -> None:
    """
    The generator is closed.
    """
    sent, error, closed = responded(*(["1"] * 1_000_000), leaves_after=3)

    assert (None, True, True) == (error, closed, len(sent) < 1_000_000)
