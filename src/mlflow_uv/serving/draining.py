"""What happens between the signal to stop and the end? Nobody new is let in, who is in gets an answer."""

import os
import signal
import socket
import sys
import threading
from types import FrameType
from typing import Any

import uvicorn

from .observing import Observed
from .settings import Settings

ORPHANED = 2.0  # seconds for the threads whose requests were given up
CUT_OFF = 1
BACKLOG = 2048


class Server(uvicorn.Server):
    """uvicorn, which refuses connections at once and lets requests in flight finish; this one says whether they did."""

    def __init__(self, config: uvicorn.Config, app: Observed) -> None:
        super().__init__(config)
        self._app = app
        self.ended = False
        self.code = CUT_OFF

    async def startup(self, sockets: "list[socket.socket] | None" = None) -> None:
        """Listen. asyncio takes as many connections at once as the backlog is long, and the other workers none."""
        await super().startup(sockets)
        for one in sockets or ():
            one.listen(BACKLOG)

    async def shutdown(self, sockets: "list[socket.socket] | None" = None) -> None:
        """Drain; then make sure that a thread which predicts for ever does not keep the process."""
        await super().shutdown(sockets)
        self.code = CUT_OFF if self._app.in_flight or self._app.cut_off else 0
        self.ended = True
        if self.code:
            sys.stderr.write("Requests were cut off: they took longer than DRAIN_TIMEOUT.\n")
        watchdog = threading.Timer(ORPHANED, end, (self.code,))
        watchdog.daemon = True
        watchdog.start()


def serve(app: Observed, listener: socket.socket, settings: Settings) -> int:
    """Answer until told to stop; 0 if every request was answered, 1 if some were cut off."""
    drain: Any = settings.drain_timeout  # a fraction of a second is as good as a whole one
    config = uvicorn.Config(app, lifespan="on", backlog=1, access_log=False, timeout_graceful_shutdown=drain)
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
