"""A proxy on loopback that leads chosen hosts to servers of this machine, and certificates for these hosts."""

import socket
import subprocess
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

CERTIFICATES = """\
[req]
distinguished_name = name
[name]
[authority]
basicConstraints = critical, CA:TRUE
[host]
basicConstraints = CA:FALSE
subjectAltName = {names}
"""
PIECE = 1 << 16


@dataclass(frozen=True, kw_only=True)
class HostCertificates:
    """The files of an authority's certificate, and of a key and a certificate for some hosts."""

    authority: Path
    key: Path
    certificate: Path


def certificates_for(scratch: Path, *hosts: str) -> HostCertificates:
    """Make certificates for hosts in a new folder."""
    scratch.mkdir()
    (scratch / "settings").write_text(CERTIFICATES.format(names=",".join(f"DNS:{host}" for host in hosts)))
    new = ("openssl", "req", "-x509", "-config", "settings", "-newkey", "rsa:2048", "-nodes", "-days", "2")
    for words in (
        ("-extensions", "authority", "-subj", "/CN=authority", "-keyout", "authority.key", "-out", "authority.pem"),
        ("-extensions", "host", "-subj", f"/CN={hosts[0]}", "-keyout", "host.key", "-out", "host.pem",
         "-CA", "authority.pem", "-CAkey", "authority.key"),
    ):  # fmt: skip
        subprocess.run((*new, *words), cwd=scratch, check=True, capture_output=True)
    return HostCertificates(
        authority=scratch / "authority.pem", key=scratch / "host.key", certificate=scratch / "host.pem"
    )


@contextmanager
def proxy_to(ports: Mapping[str, int], *, leads_on: bool = False) -> Iterator[str]:
    """
    The URL of a proxy that leads the port 443 of each host to one of this machine.

    It refuses all other hosts, or `leads_on` to them.
    """

    class Proxy(BaseHTTPRequestHandler):
        def do_CONNECT(self) -> None:
            host, _, port = self.path.partition(":")
            if port != "443" or not (leads_on or host in ports):
                self.send_error(403)
                return
            place = ("127.0.0.1", ports[host]) if host in ports else (host, 443)
            self.send_response(200)
            self.end_headers()
            with suppress(OSError), socket.create_connection(place) as there:
                back = threading.Thread(target=_copy, args=(there, self.connection), daemon=True)
                back.start()
                _copy(self.connection, there)
                back.join()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Proxy)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        thread.join()
        server.socket.close()  # without waiting for tunnels that are open


def _copy(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while piece := source.recv(PIECE):
            target.sendall(piece)
    with suppress(OSError):
        target.shutdown(socket.SHUT_WR)
