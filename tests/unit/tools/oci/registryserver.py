"""A registry in this process, with the token service that it sends everybody to, which keeps what it was sent."""

import hashlib
import json
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

MANIFEST = "application/vnd.oci.image.manifest.v1+json"


@dataclass(frozen=True)
class Asked:
    """A request: method and path, query, Authorization and body, as text and as it is."""

    call: str
    query: str
    authorization: str
    body: str
    raw: bytes = b""


@dataclass
class Answer:
    """What is answered; a header `Length` is promised in place of the length of the body."""

    status: int
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass
class FakeRegistry:
    """`contents` is what lies under a path below `/v2/team/wine/`; `rule` may answer in its place."""

    contents: dict[str, bytes] = field(default_factory=dict)
    rule: Callable[[Asked], Answer | None] = lambda _asked: None
    asked: list[Asked] = field(default_factory=list)
    host: str = ""

    def add(self, kind: str, content: object, *, tag: str = "") -> str:
        """Put a blob or a manifest there; its digest."""
        body = content if isinstance(content, bytes) else json.dumps(content).encode()
        digest = digest_of(body)
        for which in filter(None, (digest, tag)):
            self.contents[f"{kind}/{which}"] = body
        return digest

    def add_image(self, labels: Mapping[str, str], *, tag: str = "", more: Mapping[str, Any] | None = None):
        """Put an image there; the digests of manifest and configuration."""
        config = self.add("blobs", {"config": {"Labels": labels}, **(more or {})})
        return self.add("manifests", {"config": {"digest": config}, "mediaType": MANIFEST}, tag=tag), config

    def answer(self, asked: Asked) -> Answer:
        """See above."""
        self.asked.append(asked)
        response = self.rule(asked)
        if response is not None:
            return response
        found = self.contents.get(asked.call.partition("/v2/team/wine/")[2])
        if found is None:
            return refusal(404, "MANIFEST_UNKNOWN")
        return Answer(200, found)


def digest_of(body: bytes) -> str:
    """As registries write it."""
    return f"sha256:{hashlib.sha256(body).hexdigest()}"


def refusal(status: int, code: str, **headers: str) -> Answer:
    """An error as the specification has it, with words that nobody should repeat."""
    body = json.dumps({"errors": [{"code": code, "message": "\x1b[31m::error::harm"}]}).encode()
    return Answer(status, body, {name.replace("_", "-"): value for name, value in headers.items()})


@contextmanager
def serving(registry: FakeRegistry) -> Iterator[FakeRegistry]:
    """The registry on loopback while the block runs."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            raw = self.rfile.read(int(self.headers["Content-Length"] or 0))
            body = raw.decode(errors="replace")
            authorization = self.headers["Authorization"] or ""
            response = registry.answer(Asked(f"{self.command} {parts.path}", parts.query, authorization, body, raw))
            self.send_response(response.status)
            promised = response.headers.get("Length", str(len(response.body)))
            for name, value in {**response.headers, "Content-Length": promised}.items():
                self.send_header(name, value)
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(response.body)
            self.close_connection = promised != str(len(response.body))

        do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = do_GET  # as the base class calls it

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    class Server(ThreadingHTTPServer):
        def handle_error(self, *_: object) -> None:
            """Say nothing of clients that are gone."""

    server = Server(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    registry.host = f"127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield registry
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
