"""Serves an MLflow before 2.21, whose scoring app is Flask, with gunicorn; docs/serving.md lists what it lacks."""

import os
import socket
import sys
from collections.abc import Callable, Iterable
from typing import Any

from ..protocols.scoring import WITHOUT_TYPE, media_types
from ..settings import Settings
from ..transport.http_framing import BOTH

INVALID = 2
Wsgi = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]


def serve(app: Wsgi, listener: socket.socket, settings: Settings) -> int:
    """Serve with one gunicorn worker, forked after the model was loaded."""
    if settings.metrics or settings.access_log or settings.openapi:
        sys.stderr.write("METRICS, ACCESS_LOG and OPENAPI need MLflow 2.21 or newer in the model's environment.\n")
        raise SystemExit(INVALID)
    from gunicorn.app.base import BaseApplication  # noqa: PLC0415 - only installed with an MLflow that uses it

    class Application(BaseApplication):  # type: ignore[misc]  # gunicorn has no types
        def load_config(self) -> None:
            self.cfg.set("bind", [f"fd://{listener.fileno()}"])
            self.cfg.set("worker_class", "gthread")
            self.cfg.set("threads", settings.threads)
            self.cfg.set("timeout", round(settings.request_timeout) or 1)
            self.cfg.set("graceful_timeout", round(settings.drain_timeout))
            self.cfg.set("worker_tmp_dir", "/dev/shm" if os.access("/dev/shm", os.W_OK) else None)  # noqa: S108

        def load(self) -> Wsgi:
            return limited(app, settings.body_limit)

    Application().run()
    return 0


def limited(app: Wsgi, body_limit: int) -> Wsgi:
    """Reject the same requests as the ASGI server, as far as the headers show it."""

    def handle(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        if environ["REQUEST_METHOD"] == "POST" and not environ.get("CONTENT_TYPE"):
            start_response("415 Unsupported Media Type", [("Content-Type", "text/plain")])
            return [WITHOUT_TYPE.format(", ".join(media_types())).encode()]
        if environ.get("CONTENT_LENGTH") and environ.get("HTTP_TRANSFER_ENCODING"):
            start_response("400 Bad Request", [("Content-Type", "text/plain"), ("Connection", "close")])
            return [BOTH.encode()]
        if int(environ.get("CONTENT_LENGTH") or 0) > body_limit:
            start_response("413 Content Too Large", [("Content-Type", "text/plain")])
            return [f"The request body is longer than BODY_LIMIT ({body_limit} bytes).".encode()]
        return app(environ, start_response)

    return handle
