"""Counts requests in flight and reports every finished request to observers: the access log and the metrics."""

import asyncio
import json
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone

from ..transport.asgi import Asgi, Message, Receive, Send, header

LONGEST_PATH = 500  # keeps a log line below PIPE_BUF, so that lines of several workers are not interleaved
STDOUT = 1


@dataclass(frozen=True)
class Exchange:
    """A request and its response; `status` is 0 without a response, `sent` is in bytes."""

    method: str
    path: str
    status: int
    sent: int
    seconds: float
    client: str


Observer = Callable[[Exchange], None]


class ObservedApplication:
    """An ASGI application that counts requests in flight and aborted ones, and reports every exchange to observers."""

    def __init__(self, app: Asgi, observers: Sequence[Observer]) -> None:
        self.in_flight = 0
        self.aborted = 0
        self.on_in_flight: Callable[[int], None] = lambda _in_flight: None
        self._app = app
        self._observers = observers

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """ASGI."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started, status, sent, finished = time.perf_counter(), 0, 0, False
        length: str | None = None

        def finish() -> None:
            nonlocal finished
            if finished:
                return
            finished = True
            self._count(-1)
            client = (scope.get("client") or ("",))[0]
            seconds = time.perf_counter() - started
            exchange = Exchange(scope["method"], scope["path"], status, sent, seconds, client)
            for observer in self._observers:
                observer(exchange)

        async def forward(message: Message) -> None:
            nonlocal status, sent, length
            if message["type"] == "http.response.start":
                status, length = message["status"], header(message, b"content-length")
            else:
                sent += len(message.get("body", b""))
                if str(sent) == length or not message.get("more_body", False):
                    finish()  # before the last message, so that a client that has the response finds it counted
            await send(message)

        self._count(1)
        try:
            await self._app(scope, receive, forward)
        except asyncio.CancelledError:
            self.aborted += not finished
            raise
        finally:
            finish()

    def _count(self, change: int) -> None:
        self.in_flight += change
        self.on_in_flight(self.in_flight)


def log_as_json(exchange: Exchange) -> None:
    """Write one JSON object per line to standard output, without bodies and query strings, which may hold secrets."""
    line = {
        "time": datetime.now(timezone.utc).isoformat(timespec="milliseconds"),
        "method": exchange.method,
        "path": exchange.path[:LONGEST_PATH],
        "status": exchange.status,
        "bytes": exchange.sent,
        "seconds": round(exchange.seconds, 6),
        "client": exchange.client,
        "worker": os.getpid(),
    }
    os.write(STDOUT, json.dumps(line).encode() + b"\n")
