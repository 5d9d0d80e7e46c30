"""What happened to each request? Told to whoever wants to know: the log, the metrics, and the end of the process."""

import asyncio
import json
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone

from .asgi import Asgi, Message, Receive, Send, header

LONGEST_PATH = 500  # in a line that is written at once, so that those of several workers do not mingle
STDOUT = 1


@dataclass(frozen=True)
class Exchange:
    """A request and its answer; `status` is 0 where the client or the server left before there was one."""

    method: str
    path: str
    status: int
    sent: int
    seconds: float
    client: str


Observer = Callable[[Exchange], None]


class ObservedApplication:
    """An application that counts what is in flight and what was cut off, and tells of every exchange."""

    def __init__(self, app: Asgi, observers: Sequence[Observer]) -> None:
        self.in_flight = 0
        self.cut_off = 0
        self.watching: Callable[[int], None] = lambda _in_flight: None
        self._app = app
        self._observers = observers

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """ASGI."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        begun, status, sent, over = time.perf_counter(), 0, 0, False
        length: str | None = None

        def finish() -> None:
            nonlocal over
            if over:
                return
            over = True
            self._count(-1)
            client = (scope.get("client") or ("",))[0]
            took = time.perf_counter() - begun
            exchange = Exchange(scope["method"], scope["path"], status, sent, took, client)
            for observer in self._observers:
                observer(exchange)

        async def forward(message: Message) -> None:
            nonlocal status, sent, length
            if message["type"] == "http.response.start":
                status, length = message["status"], header(message, b"content-length")
            else:
                sent += len(message.get("body", b""))
                if str(sent) == length or not message.get("more_body", False):
                    finish()  # before the last of it goes out: who has the answer finds it counted
            await send(message)

        self._count(1)
        try:
            await self._app(scope, receive, forward)
        except asyncio.CancelledError:
            self.cut_off += not over
            raise
        finally:
            finish()

    def _count(self, change: int) -> None:
        self.in_flight += change
        self.watching(self.in_flight)


def log_as_json(exchange: Exchange) -> None:
    """One object a line on standard output; neither bodies nor queries, which may hold what nobody should read."""
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
