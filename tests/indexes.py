"""Package indexes on loopback (PEP 503), served from static pages."""

import base64
import hashlib
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

# Who may read the pages of an index with a password.
USER, PASSWORD = "robot", "correct-horse"
LOGIN = "Basic " + base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()


class _Handler(SimpleHTTPRequestHandler):
    def log_message(self, *_arguments: object) -> None:
        """Say nothing."""


def index_of(folder: Path, *wheels: Path) -> Path:
    """Write the pages of an index that holds these wheels."""
    for wheel in wheels:
        page = folder / "simple" / wheel.name.split("-")[0] / "index.html"
        page.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(wheel, page.parent)
        digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
        with page.open("a") as file:
            file.write(f'<a href="{wheel.name}#sha256={digest}">{wheel.name}</a>\n')
    return folder


class _Guarded(_Handler):
    """Pages for whoever has the password; all others get the server's refusal."""

    def do_GET(self) -> None:
        """Answer 401 or 403 without credentials."""
        if self.headers.get("Authorization") == LOGIN:
            super().do_GET()
            return
        status = self.server.status  # type: ignore[attr-defined]  # set by `guarded`
        self.send_response(status)
        self.send_header("WWW-Authenticate", 'Basic realm="x"')
        self.send_header("Content-Length", "0")
        self.end_headers()


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """Serve an index; the URL of its pages."""
    with _running(ThreadingHTTPServer(("127.0.0.1", 0), partial(_Handler, directory=str(folder)))) as url:
        yield url


@contextmanager
def guarded(folder: Path, status: int = 401) -> Iterator[str]:
    """Serve an index to whoever has the password; the URL of its pages."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Guarded, directory=str(folder)))
    server.status = status  # type: ignore[attr-defined]  # for _Guarded
    with _running(server) as url:
        yield url


@contextmanager
def _running(server: ThreadingHTTPServer) -> Iterator[str]:
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/simple"
    finally:
        server.shutdown()
        server.server_close()
