"""A node of a Ray cluster: it serves the files that were uploaded, and no others, in a process that ends with it."""

import hashlib
import json
import os
import sys
import urllib.request
from pathlib import Path

import pytest

from mlflow_uv.ray_serve.node import MANIFEST, ModelServer, Unusable, require_uploaded, run

ANSWERING = """
import http.server, os
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        text = repr(sorted(os.environ)).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)
    def log_message(self, *_):
        pass
http.server.HTTPServer(("127.0.0.1", int(os.environ["PORT"])), Handler).serve_forever()
"""


def uploaded(folder: Path) -> str:
    """A package with a model and a server; returns the digest of its manifest."""
    for name in ("model/MLmodel", "server/__main__.py"):
        (folder / name).parent.mkdir(parents=True)
        (folder / name).write_text(name)
    listed = {name: hashlib.sha256(name.encode()).hexdigest() for name in ("model/MLmodel", "server/__main__.py")}
    (folder / MANIFEST).write_text(json.dumps(listed))
    return hashlib.sha256((folder / MANIFEST).read_bytes()).hexdigest()


def server(folder: Path, program: str) -> ModelServer:
    """A server with a program."""
    (folder / "server").mkdir()
    (folder / "server" / "__main__.py").write_text(program)
    return ModelServer(Path(sys.executable), folder, {"WORKERS": "1"}, folder / "bytecode")


def test_files_are_served_as_they_were_uploaded(tmp_path: Path) -> None:
    """
    What Ray adds to the folder beside them does not count.
    """
    digest = uploaded(tmp_path)
    (tmp_path / "mlflow_uv_ray").mkdir()

    require_uploaded(tmp_path, digest)

    assert (tmp_path / "model" / "MLmodel").is_file()


@pytest.mark.parametrize("change", ["content", "more", "less", "manifest"])
def test_files_that_were_changed_are_not_served(tmp_path: Path, change: str) -> None:
    """
    A file with other content, one that was added, one that is gone, and another list.
    """
    digest = uploaded(tmp_path)
    model = tmp_path / "model" / "MLmodel"
    if change == "content":
        model.write_text("model/MLmodeI")
    elif change == "more":
        (tmp_path / "model" / "sitecustomize.py").write_text("")
    elif change == "less":
        model.unlink()
    else:
        (tmp_path / MANIFEST).write_text("{}")

    with pytest.raises(Unusable):
        require_uploaded(tmp_path, digest)


def test_a_server_gets_the_variables_that_are_listed_and_no_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    None of Ray and of its Python, and no credentials of the node; it ends when it is stopped.
    """
    for name in os.environ:
        monkeypatch.delenv(name)
    listed = {"PATH": os.defpath, "LC_ALL": "C.UTF-8", "OMP_NUM_THREADS": "1"}
    others = {"RAY_JOB_ID": "1", "PYTHONPATH": "/elsewhere", "AWS_SECRET_ACCESS_KEY": "hush", "LCX": "1", "PATHS": "1"}
    for name, value in (listed | others).items():
        monkeypatch.setenv(name, value)

    started = server(tmp_path, ANSWERING)
    started.require_ready()
    with urllib.request.urlopen(f"http://127.0.0.1:{started.port}/") as response:
        seen = json.loads(response.read().decode().replace("'", '"'))
    started.stop()

    own = {"HOST", "MLFLOW_UV_MODEL", "PORT", "PYTHONUNBUFFERED", "WORKERS"}
    assert (sorted({*listed, *own}), False) == (seen, started.answers())


def test_the_next_replica_finds_the_files_as_they_were_uploaded(tmp_path: Path) -> None:
    """
    Both have one folder on a node, in which the first server imported its modules.
    """
    (tmp_path / "server").mkdir()
    (tmp_path / "server" / "beside.py").write_text("name = 'beside'\n")
    (tmp_path / "server" / "__main__.py").write_text(f"import beside{ANSWERING}")
    found = [path for path in tmp_path.rglob("*") if path.is_file()]
    listed = {path.relative_to(tmp_path).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in found}
    (tmp_path / MANIFEST).write_text(json.dumps(listed))
    digest = hashlib.sha256((tmp_path / MANIFEST).read_bytes()).hexdigest()
    started = ModelServer(Path(sys.executable), tmp_path, {}, tmp_path / "bytecode")
    started.require_ready()
    started.stop()

    require_uploaded(tmp_path, digest)

    assert list((tmp_path / "bytecode").rglob("beside*.pyc"))


def test_a_server_that_ends_is_not_waited_for(tmp_path: Path) -> None:
    """
    Its last line is the reason.
    """
    started = server(tmp_path, "import sys\nprint('loading', flush=True)\nsys.exit('no such licence')\n")

    with pytest.raises(Unusable, match="ended with 1: no such licence"):
        started.require_ready()
    started.stop()


def test_an_installation_that_does_not_end_is_an_error_with_its_limit(tmp_path: Path) -> None:
    """
    The program is ended.
    """
    with pytest.raises(Unusable, match="takes longer than"):
        run("sleep", "60", within=tmp_path, timeout_s=0.1)
