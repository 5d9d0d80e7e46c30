"""What happens between the signal to stop and the end? Nobody new is let in, who is in gets an answer."""

import asyncio
import os
import signal
import sys
import threading
from collections.abc import Callable
from types import FrameType
from typing import Any

import uvicorn

from .asgi import Asgi, Message, Receive, Send, header
from .connection import protocol
from .http_framing import LONGEST_HEAD
from .listener import Listener
from .observers import ObservedApplication
from .settings import Settings

ORPHANED = 2.0  # seconds for the threads whose requests were given up
CUT_OFF = 1
BACKLOG = 2048
MOMENT, MOMENTS = 0.01, 10  # seconds, and how often


class Server(uvicorn.Server):  # type: ignore[misc]  # uvicorn is not installed where types are checked
    """
    uvicorn, which refuses connections and lets requests in flight finish; this one says whether they did.

    It closes every connection on which it has read nothing yet. Here who has connected is let in and heard first: what
    has been sent is in flight, even if this process was too busy to look.
    """

    def __init__(self, config: uvicorn.Config, app: ObservedApplication) -> None:
        super().__init__(config)
        self._app = app
        self.ended = False
        self.code = CUT_OFF

    async def shutdown(self, sockets: "list[Any] | None" = None) -> None:
        """Drain; then make sure that a thread which predicts for ever does not keep the process."""
        for listener in sockets or ():
            await let_in(listener)
        for server in self.servers:
            server.close()
        await moments()  # to read what they say
        await super().shutdown(sockets)
        self.code = CUT_OFF if self._app.in_flight or self._app.cut_off else 0
        self.ended = True
        if self.code:
            sys.stderr.write("Requests were cut off: they took longer than DRAIN_TIMEOUT.\n")
        watchdog = threading.Timer(ORPHANED, end, (self.code,))
        watchdog.daemon = True
        watchdog.start()


def parting(app: Asgi, leaving: Callable[[], bool]) -> Asgi:
    """Let the last answer on a connection say so: else its client sends the next request while it is being closed."""

    async def handle(scope: Message, receive: Receive, send: Send) -> None:
        async def forward(message: Message) -> None:
            if message["type"] == "http.response.start" and leaving() and not header(message, b"connection"):
                message = {**message, "headers": [*message["headers"], (b"connection", b"close")]}
            await send(message)

        await app(scope, receive, forward)

    return handle


async def let_in(listener: Listener) -> None:
    """Take everybody who waits at the door; for a moment, since others may come all the time."""
    listener.turn = 0.0
    for _ in range(MOMENTS):
        if not listener.waited_for():
            return
        await asyncio.sleep(MOMENT)


async def moments() -> None:
    """So long, and so many times around, as a busy process needs to read what lies there."""
    for _ in range(MOMENTS):
        await asyncio.sleep(MOMENT)


def serve(app: ObservedApplication, listener: Listener, settings: Settings) -> int:
    """Answer until told to stop; 0 if every request was answered, 1 if some were cut off."""
    drain: Any = settings.drain_timeout  # a fraction of a second is as good as a whole one
    whole = parting(app, lambda: server.should_exit)
    config = uvicorn.Config(
        whole,
        http=protocol(settings),
        h11_max_incomplete_event_size=LONGEST_HEAD,
        ws="none",  # no path of ours is one, and a library that is installed would take the connection over
        lifespan="on",
        backlog=BACKLOG,
        access_log=False,
        timeout_graceful_shutdown=drain,
    )
    server = Server(config, app)

    def leave(_number: int, _frame: "FrameType | None") -> None:
        # uvicorn raises the signal that it was told to stop with once more when it has stopped.
        if not server.ended:
            end(0)

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, leave)
    server.run(sockets=[listener])
    return server.code


def end(code: int) -> None:
    """At once, with what was said so far."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)
