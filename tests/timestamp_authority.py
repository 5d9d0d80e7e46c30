"""An authority for timestamps (RFC 3161) on this machine: `openssl ts` behind HTTP, with a clock of its own."""

import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from pathlib import Path

from tests.stand_ins.web import listening

CONFIG = """\
[tsa]
default_tsa = authority
[authority]
serial = {folder}/serial
signer_cert = {keys}/{name}.crt
signer_key = {keys}/{name}.pem
signer_digest = sha256
default_policy = 1.2.3.4
digests = sha256
accuracy = secs:1
ess_cert_id_alg = sha256
"""


@contextmanager
def timestamp_authority(keys: Path, name: str, folder: Path, *, clock: str = "+0 days") -> Iterator[str]:
    """The URL of an authority with the key and the certificate of a name; `clock` is how far its time is off."""
    folder.mkdir()
    (folder / "serial").write_text("01\n")
    (folder / "tsa.cnf").write_text(CONFIG.format(folder=folder, keys=keys, name=name))

    def answer(query: bytes) -> bytes:
        (folder / "query.tsq").write_bytes(query)
        config, file = str(folder / "tsa.cnf"), str(folder / "query.tsq")
        words = ("openssl", "ts", "-reply", "-config", config, "-queryfile", file)
        return subprocess.run(("faketime", clock, *words), capture_output=True, check=False).stdout

    with _serving(answer) as url:
        yield url


@contextmanager
def fixed_answer(reply: bytes) -> Iterator[str]:
    """The URL of something that gives the same answer to every request."""
    with _serving(lambda _: reply) as url:
        yield url


@contextmanager
def _serving(answer: Callable[[bytes], bytes]) -> Iterator[str]:
    """The URL of a server; no answer is an error of the server."""

    class Service(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            content = answer(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(200 if content else 500)
            self.send_header("Content-Type", "application/timestamp-reply")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            pass

    with listening(Service) as url:
        yield f"{url}/tsr"
