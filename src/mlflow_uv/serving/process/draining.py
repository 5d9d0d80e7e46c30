"""Runs uvicorn and drains it after a stop signal: no new connections, requests in flight are answered."""

import asyncio
import os
import signal
import sys
import threading
from collections.abc import Callable
from types import FrameType
from typing import Any

import uvicorn

from ..observability.observers import ObservedApplication
from ..settings import Settings
from ..transport.asgi import Asgi, Message, Receive, Send, header
from ..transport.connection import protocol
from ..transport.http_framing import LONGEST_HEAD
from .listener import Listener

ORPHANED_S = 2.0  # seconds that threads of aborted requests get to end
ABORTED = 1
BACKLOG = 2048
POLL_S, POLLS = 0.01, 10


class Server(uvicorn.Server):  # type: ignore[misc]  # uvicorn is not installed where types are checked
    """
    A uvicorn server that reports whether all requests in flight were answered.

    On shutdown uvicorn closes every connection on which it has read nothing yet. This server accepts and reads pending
    connections first: a request that was sent is in flight, even if this process was too busy to read it.
    """

    def __init__(self, config: uvicorn.Config, app: ObservedApplication) -> None:
        super().__init__(config)
        self._app = app
        self.ended = False
        self.code = ABORTED

    async def shutdown(self, sockets: "list[Any] | None" = None) -> None:
        """Drain, then end the process even if a prediction thread never returns."""
        for listener in sockets or ():
            await accept_pending(listener)
        for server in self.servers:
            server.close()
        await read_pending()
        await super().shutdown(sockets)
        self.code = ABORTED if self._app.in_flight or self._app.aborted else 0
        self.ended = True
        if self.code:
            sys.stderr.write("Requests were aborted: they took longer than DRAIN_TIMEOUT.\n")
        watchdog = threading.Timer(ORPHANED_S, end, (self.code,))
        watchdog.daemon = True
        watchdog.start()


def closing_connections(app: Asgi, stopping: Callable[[], bool]) -> Asgi:
    """Add `Connection: close` while stopping: else a client sends its next request on a connection that is closing."""

    async def handle(scope: Message, receive: Receive, send: Send) -> None:
        async def forward(message: Message) -> None:
            if message["type"] == "http.response.start" and stopping() and not header(message, b"connection"):
                message = {**message, "headers": [*message["headers"], (b"connection", b"close")]}
            await send(message)

        await app(scope, receive, forward)

    return handle


async def accept_pending(listener: Listener) -> None:
    """Accept the pending connections, for a bounded time, because new ones may keep arriving."""
    listener.pause_s = 0.0
    for _ in range(POLLS):
        if not listener.has_pending():
            return
        await asyncio.sleep(POLL_S)


async def read_pending() -> None:
    """Let the event loop run often enough that a busy process reads what its connections have received."""
    for _ in range(POLLS):
        await asyncio.sleep(POLL_S)


def serve(app: ObservedApplication, listener: Listener, settings: Settings) -> int:
    """Serve until a stop signal; 0 if every request was answered, 1 if some were aborted."""
    drain: Any = settings.drain_timeout  # typed as int, works with fractions
    draining_app = closing_connections(app, lambda: server.should_exit)
    config = uvicorn.Config(
        draining_app,
        http=protocol(settings),
        h11_max_incomplete_event_size=LONGEST_HEAD,
        ws="none",  # no WebSocket endpoint exists, and an installed library would take the connection over
        lifespan="on",
        backlog=BACKLOG,
        access_log=False,
        timeout_graceful_shutdown=drain,
    )
    server = Server(config, app)

    def stop(_number: int, _frame: "FrameType | None") -> None:
        # When it has stopped, uvicorn raises the signal that stopped it once more.
        if not server.ended:
            end(0)

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)
    server.run(sockets=[listener])
    return server.code


def end(code: int) -> None:
    """Flush the output and end the process without waiting for threads."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)
