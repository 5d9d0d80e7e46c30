"""An HTTP server on loopback that records every byte it receives."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass(frozen=True, kw_only=True, slots=True)
class Listener:
    """Its address, and what it was sent: a request each, with its headers and body."""

    uri: str
    received: list[str] = field(default_factory=list)

    @property
    def everything(self) -> str:
        """All of it as one text."""
        return "\n".join(self.received)


@contextmanager
def listening(*, redirect: str | None = None, answer: bytes | None = None) -> Iterator[Listener]:
    """Listen while the block runs; every request gets 404, the same answer, or is sent on to another server."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def reply(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            listener.received.append(f"{self.requestline}\n{self.headers}\n{body.decode(errors='replace')}")
            self.send_response(307 if redirect is not None else 404 if answer is None else 200)
            if redirect is not None:
                self.send_header("Location", f"{redirect}{self.path}")
            self.send_header("Content-Length", str(len(answer or b"")))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(answer or b"")

        do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = do_HEAD = reply  # names of the base class

        def log_message(self, *_arguments: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    listener = Listener(uri=f"http://127.0.0.1:{server.server_port}")
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield listener
    finally:
        server.shutdown()
        server.server_close()
