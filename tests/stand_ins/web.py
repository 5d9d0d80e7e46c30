"""A web client that asks stand-ins in memory in place of servers."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Lock, Thread
from typing import Any
from urllib.parse import urlsplit

from mlflow_uv.tools.system.web import WebReply, WebRequest

Answer = Callable[[str, str, str, bytes], tuple[int, Any]]


class StandInWeb:
    """See tools.system.web.Web; `answer` gets the method, the path, the header Authorization and the body."""

    def __init__(self, answer: Answer) -> None:
        self._answer = answer
        self.secrets: list[str] = []

    def send(self, request: WebRequest) -> WebReply:
        """See Web."""
        method = request.method or ("GET" if request.form is None else "POST")
        parts = urlsplit(request.url)
        authorization = request.secret.get("Authorization", "")
        path = f"{parts.path}?{parts.query}" if parts.query else parts.path
        status, document = self._answer(method, path, authorization, request.form or b"")
        return WebReply(status=status, headers={}, body=json.dumps(document).encode())

    def post(self, request: WebRequest, *, timeout_s: float) -> WebReply:
        """See Web."""
        del timeout_s
        return self.send(request)


@contextmanager
def listening(handler: type[BaseHTTPRequestHandler]) -> Iterator[str]:
    """The URL of a server on loopback whose requests a handler answers, each in a thread of its own."""
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join()


@contextmanager
def served(answer: Answer) -> Iterator[str]:
    """The URL of a server on loopback whose requests a stand-in answers, one after the other."""
    turn = Lock()

    class Service(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            with turn:
                status, document = answer(self.command, self.path, self.headers.get("Authorization", ""), body)
            text = json.dumps(document).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        do_POST = do_PUT = do_DELETE = do_GET  # as the base class calls it

        def log_message(self, *_: object) -> None:
            pass

    with listening(Service) as url:
        yield url
