"""A corporate network: its proxy needs a password and re-encrypts HTTPS with the company's own certificates."""

import base64
import re
import shutil
import ssl
import subprocess
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import quote

from tests.house.files import ROOT
from tests.tls import server_context

HOST, USER = "packages.example", "clerk"
CERTIFICATES = f"""\
[req]
distinguished_name = name
[name]
[authority]
basicConstraints = critical, CA:TRUE
[host]
basicConstraints = CA:FALSE
subjectAltName = DNS:{HOST}
"""


@dataclass(frozen=True, kw_only=True)
class CorporateNetwork:
    """Who has the password is led to the one host there is; `pages` are its index, `paths` what was asked of it."""

    address: str
    password: str
    bundle: Path
    pages: Path
    paths: list[str] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)

    @property
    def proxy(self) -> str:
        """The proxy's address, with the account that it wants."""
        return f"http://{USER}:{quote(self.password, safe='')}@{self.address}"

    @property
    def index(self) -> str:
        """An address that nobody reaches but through the proxy: no name server knows it."""
        return f"https://{HOST}/simple"


# The public index, whose address a lock of ours has; the company's own shows its pages, with links to `/files/`.
LOCK = (ROOT / "examples" / "wine" / "uv.lock").read_text()
PAGES = re.findall(r'registry = "(https://[^"]+)"', LOCK)[0] + "/"
FILES = re.findall(r'url = "(https://[^/"]+/)[^"]*\.whl"', LOCK)[0]
FORWARDED = ("Accept", "Range")
RETURNED = ("Content-Type", "Content-Range", "Accept-Ranges", "ETag", "Last-Modified")


@contextmanager
def corporate_network_at(
    address: str, scratch: Path, *, name: str, password: str, mirrors: bool = False
) -> Iterator[CorporateNetwork]:
    """
    A network with an index that has no pages yet, while the block runs; its certificates' authority has a name.

    With `mirrors` the index also has what the public one has.
    """
    bundle, context = _certified(scratch / "keys", name)
    pages = scratch / "pages"
    pages.mkdir()
    known = base64.b64encode(f"{USER}:{password}".encode()).decode()

    class Host(SimpleHTTPRequestHandler):
        def do_GET(self) -> None:
            corporate_network.paths.append(self.path)
            if mirrors and not Path(self.translate_path(self.path)).exists():
                _forward(self)
            else:
                super().do_GET()

        def log_message(self, *_arguments: object) -> None:
            """Say nothing."""

    class Proxy(BaseHTTPRequestHandler):
        def do_CONNECT(self) -> None:
            allowed = self.headers.get("Proxy-Authorization") == f"Basic {known}"
            if not allowed or self.path != f"{HOST}:443":
                corporate_network.refused.append(self.path)
                self.send_response(403 if allowed else 407)
                self.send_header("Proxy-Authenticate", 'Basic realm="company"')
                self.end_headers()
                return
            self.send_response(200)
            self.end_headers()
            with suppress(OSError), context.wrap_socket(self.connection, server_side=True) as tunnel:
                Host(tunnel, self.client_address, self.server, directory=str(pages))

        def log_message(self, *_arguments: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer((address, 0), Proxy)
    server.daemon_threads = True
    corporate_network = CorporateNetwork(
        address=f"{address}:{server.server_port}", password=password, bundle=bundle, pages=pages
    )
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield corporate_network
    finally:
        server.shutdown()
        server.server_close()


def _forward(request: BaseHTTPRequestHandler) -> None:
    """Answer with what the public index has."""
    is_page = request.path.startswith("/simple/")
    url = request.path.replace("/simple/", PAGES, 1) if is_page else request.path.replace("/files/", FILES, 1)
    headers = {name: value for name in FORWARDED if (value := request.headers.get(name))}
    try:
        reply = urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=60)
    except urllib.error.HTTPError as error:
        request.send_error(error.code)
        return
    with reply:
        page = reply.read().replace(FILES.encode(), f"https://{HOST}/files/".encode()) if is_page else None
        request.send_response(reply.status)
        for name in RETURNED:
            if value := reply.headers.get(name):
                request.send_header(name, value)
        request.send_header("Content-Length", str(len(page)) if page is not None else reply.headers["Content-Length"])
        request.end_headers()
        if page is not None:
            request.wfile.write(page)
        else:
            shutil.copyfileobj(reply, request.wfile)


def _certified(scratch: Path, name: str) -> tuple[Path, ssl.SSLContext]:
    """The file with the authority's certificate, and a context that shows one of the host that it signed."""
    scratch.mkdir()
    (scratch / "settings").write_text(CERTIFICATES)
    new = ("openssl", "req", "-x509", "-config", "settings", "-newkey", "rsa:2048", "-nodes", "-days", "2")
    for words in (
        ("-extensions", "authority", "-subj", f"/CN={name}", "-keyout", "authority.key", "-out", "authority.pem"),
        ("-extensions", "host", "-subj", f"/CN={HOST}", "-keyout", "host.key", "-out", "host.pem",
         "-CA", "authority.pem", "-CAkey", "authority.key"),
    ):  # fmt: skip
        subprocess.run((*new, *words), cwd=scratch, check=True, capture_output=True)
    return scratch / "authority.pem", server_context(scratch / "host.pem", scratch / "host.key")
