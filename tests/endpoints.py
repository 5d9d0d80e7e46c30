"""A model server in this process that responds as a test says, and keeps the requests that it gets."""

import ssl
import subprocess
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from tests.tls import server_context

CERTIFICATES = """\
[req]
distinguished_name = name
[name]
[authority]
basicConstraints = critical, CA:TRUE
[host]
basicConstraints = CA:FALSE
subjectAltName = IP:{address}
"""


@dataclass(frozen=True)
class EndpointRequest:
    """A request as it arrived."""

    path: str
    headers: Mapping[str, str]
    body: bytes
    method: str = "POST"


@dataclass(frozen=True)
class EndpointReply:
    """A response; `stream` is sent instead of `body`, piece by piece until the client is gone."""

    status: int = 200
    body: bytes = b"{}"
    headers: Mapping[str, str] = field(default_factory=dict)
    stream: Iterator[bytes] | None = None


Rule = Callable[[EndpointRequest], EndpointReply]


@dataclass
class FakeEndpoint:
    """The server; `requests` are those that it got."""

    port: int = 0
    requests: list[EndpointRequest] = field(default_factory=list)
    scheme: str = "http"

    @property
    def url(self) -> str:
        """Its base URL."""
        return f"{self.scheme}://127.0.0.1:{self.port}"


@contextmanager
def fake_endpoint(rule: Rule, *, context: ssl.SSLContext | None = None) -> Iterator[FakeEndpoint]:
    """A server on a port of loopback while the block runs, with TLS if a context is given."""
    endpoint = FakeEndpoint(scheme="https" if context else "http")
    ended = threading.Event()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            request = EndpointRequest(self.path, dict(self.headers), self.rfile.read(length), self.command)
            endpoint.requests.append(request)
            reply = rule(request)
            self.send_response(reply.status)
            for name, value in reply.headers.items():
                self.send_header(name, value)
            if reply.stream is None:
                self.send_header("Content-Length", str(len(reply.body)))
            self.end_headers()
            with suppress(OSError):
                for piece in [reply.body] if reply.stream is None else reply.stream:
                    if ended.is_set():
                        return
                    self.wfile.write(piece)

        do_GET = do_DELETE = do_POST

        def log_message(self, *_arguments: object) -> None:
            """Say nothing."""

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, *_arguments: object) -> None:
            """Say nothing of clients that are gone."""

    server = Server(("127.0.0.1", 0), Handler)
    if context:
        server.socket = context.wrap_socket(server.socket, server_side=True)
    endpoint.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield endpoint
    finally:
        ended.set()
        server.shutdown()
        thread.join()
        server.socket.close()


def certified(folder: Path, address: str = "127.0.0.1") -> tuple[ssl.SSLContext, Path]:
    """A context with a certificate for an address (`host.pem`, `host.key`), and the file of the CA that signed it."""
    folder.mkdir()
    (folder / "x.cnf").write_text(CERTIFICATES.format(address=address))
    new = ("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-config",
           "x.cnf", "-days", "2")  # fmt: skip
    authority = ("-extensions", "authority", "-subj", "/CN=Company", "-keyout", "ca.key", "-out", "ca.pem")
    host = ("-extensions", "host", "-subj", "/CN=host", "-keyout", "host.key", "-out", "host.pem")
    for argv in ((*new, *authority), (*new, *host, "-CA", "ca.pem", "-CAkey", "ca.key")):
        subprocess.run(argv, cwd=folder, check=True, capture_output=True)
    return server_context(folder / "host.pem", folder / "host.key"), folder / "ca.pem"
