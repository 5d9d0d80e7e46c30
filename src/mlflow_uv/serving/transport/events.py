"""
Sends the chunks of a generator, which runs in a thread, as server-sent events.

The protocol is that of MLflow's agent server (mlflow.genai.agent_server): `data: JSON` for each chunk, an error after
the first chunk as a last chunk `{"error": MESSAGE}`, and `data: [DONE]` at the end.
"""

import asyncio
import json
import threading
import traceback
from collections.abc import Callable, Generator
from contextlib import closing, suppress
from typing import Any

from .asgi import Message, Receive, Send

DONE = b"data: [DONE]\n\n"
START: Message = {
    "type": "http.response.start",
    "status": 200,
    "headers": [(b"content-type", b"text/event-stream"), (b"cache-control", b"no-cache")],
}
Chunks = Callable[[], "Generator[str, None, None]"]  # JSON texts


class Stopped(Exception):
    """The client disconnected, or the request took longer than its limit."""


async def respond_with_events(chunks: Chunks, receive: Receive, send: Send) -> "Exception | None":
    """
    Send the events until the generator ends or the client disconnects; the generator is closed in its thread.

    Returns an error that it raised before the first chunk: nothing was sent then.
    """
    loop = asyncio.get_running_loop()
    stopped = threading.Event()

    def forward(message: Message) -> None:
        """Send a message from the thread of the generator, and wait until the connection has taken it."""
        if stopped.is_set():
            raise Stopped
        asyncio.run_coroutine_threadsafe(passed_on(send, message), loop).result()

    # One thread for the whole stream: what a generator sets for its thread, it resets in the same one.
    work = loop.run_in_executor(None, produce, chunks, forward)
    gone = asyncio.ensure_future(disconnected(receive))
    waited: set[asyncio.Future[Any]] = {work, gone}
    try:
        await asyncio.wait(waited, return_when=asyncio.FIRST_COMPLETED)
        return work.result() if work.done() else None
    finally:
        stopped.set()
        gone.cancel()


async def passed_on(send: Send, message: Message) -> None:
    """Send a message; a coroutine, which the type Send does not promise."""
    await send(message)


async def disconnected(receive: Receive) -> None:
    """Return when the client has disconnected."""
    while (await receive())["type"] != "http.disconnect":
        pass


def produce(chunks: Chunks, forward: Callable[[Message], None]) -> "Exception | None":
    """Forward the messages of the response; returns an error before the first chunk, of which nothing was forwarded."""
    begun = False
    ending = [part(None)]
    try:
        with closing(chunks()) as texts:
            for text in texts:
                if not begun:
                    forward(START)
                    begun = True
                forward(part(text))
    except Stopped:
        return None
    # A model's code may raise anything; this is not the main thread, so that no KeyboardInterrupt is Ctrl-C.
    except (Exception, SystemExit, KeyboardInterrupt) as error:  # noqa: BLE001
        if not begun:
            return error if isinstance(error, Exception) else RuntimeError(f"{type(error).__name__}: {error}")
        traceback.print_exc()
        ending.insert(0, part(json.dumps({"error": str(error)})))
    if not begun:  # a stream without chunks
        ending.insert(0, START)
    with suppress(Stopped):
        for message in ending:
            forward(message)
    return None


def part(text: "str | None") -> Message:
    """The message with the event of a chunk; None ends the response."""
    body = DONE if text is None else f"data: {text}\n\n".encode()
    return {"type": "http.response.body", "body": body, "more_body": text is not None}
