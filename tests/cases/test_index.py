"""A package from a private, explicit index with credentials gets into what serves, and the credentials get nowhere."""

import base64
import hashlib
import os
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests import projects

from .sample_project import SampleProject, training

PASSWORD = "correct-horse-battery"  # a marker that must appear nowhere
CREDENTIALS = {"UV_INDEX_PRIVATE_USERNAME": "reader", "UV_INDEX_PRIVATE_PASSWORD": PASSWORD}


@dataclass(frozen=True)
class Index:
    """A simple index (PEP 503) on loopback that wants a password; `refused` counts who came without."""

    url: str
    refused: list[str] = field(default_factory=list)


@pytest.fixture
def index(tmp_path: Path) -> Iterator[Index]:
    """An index with one package."""
    wheel = projects.wheel(tmp_path, "grape", "1.0")
    data = wheel.read_bytes()
    expected = "Basic " + base64.b64encode(f"reader:{PASSWORD}".encode()).decode()
    page = f'<a href="{wheel.name}#sha256={hashlib.sha256(data).hexdigest()}">{wheel.name}</a>'.encode()
    refused: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if self.headers.get("Authorization") != expected:
                refused.append(self.path)
                self.send_response(401)
                self.send_header("WWW-Authenticate", 'Basic realm="x"')
                self.end_headers()
                return
            known = {"/simple/grape/": page, f"/simple/grape/{wheel.name}": data}
            body = known.get(self.path, b"")
            self.send_response(200 if body else 404)
            self.send_header("Content-Type", "text/html" if body is page else "application/octet-stream")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def do_HEAD(self) -> None:
            self.do_GET()

        def log_message(self, *_arguments: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield Index(f"http://127.0.0.1:{server.server_port}/simple", refused)
    server.shutdown()
    server.server_close()


def files_with(folder: Path, text: str) -> list[str]:
    """The files below a folder that hold a text."""
    return [str(path) for path in folder.rglob("*") if path.is_file() and text.encode() in path.read_bytes()]


@pytest.mark.extended
def test_an_explicit_index_with_a_password_serves_its_package(sample: SampleProject, index: Index) -> None:
    """
    The package is installed where the model is served, by its hash; the password is in no file, message or record.
    """
    manifest = sample.folder / "pyproject.toml"
    sample.consumer.edit(manifest, 'dependencies = ["mlflow', 'dependencies = ["grape", "mlflow')
    table = f'[[tool.uv.index]]\nname = "private"\nurl = "{index.url}"\nexplicit = true\n'
    manifest.write_text(f'{manifest.read_text()}\n[tool.uv.sources]\ngrape = {{ index = "private" }}\n\n{table}')
    subprocess.run(("uv", "lock", "--quiet"), cwd=sample.folder, env={**os.environ, **CREDENTIALS}, check=True)
    sample.train_with("import grape\n" + training())

    result = sample.run("release", "--engine", "none", variables=CREDENTIALS)

    assert (0, "tested") == (result.code, result.outputs["state"]), result.stderr
    assert "grape==1.0" in (sample.consumer.model / "requirements.txt").read_text()
    assert PASSWORD not in result.stdout + result.stderr
    assert [] == files_with(sample.consumer.home / "state", PASSWORD) + files_with(sample.folder, PASSWORD)
