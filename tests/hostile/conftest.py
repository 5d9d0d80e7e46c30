"""Fixtures of the hostile tests: the MLflow client of the lock, and a tracking server with scripted responses."""

import json
import os
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from tests.contracts.mlflow_interpreter import QUIET, client_python
from tests.sharing import SharedFolder

TOKEN = "ca-na-ry-of-a-token"  # so that it would be found


@dataclass(kw_only=True)
class Impostor:
    """A server that speaks as much of MLflow's protocol as is asked of it, and keeps every request it gets."""

    uri: str
    answers: dict[str, Any] = field(default_factory=dict)
    requests: list[str] = field(default_factory=list)

    def forgetting(self) -> "Impostor":
        """The same server, with nothing to say and nothing heard."""
        self.answers.clear()
        self.requests.clear()
        return self

    def keeps_artifacts_at(self, location: str) -> None:
        """Let everything it knows lie there: an experiment, a run, a logged model and a version."""
        now = 1_700_000_000_000
        experiment = {"experiment_id": "1", "name": "wine", "artifact_location": location, "lifecycle_stage": "active"}
        run = {"run_id": "r", "run_uuid": "r", "experiment_id": "1", "status": "FINISHED", "artifact_uri": location}
        model = {
            "model_id": MODEL,
            "experiment_id": "1",
            "name": "wine",
            "artifact_uri": location,
            "status": "LOGGED_MODEL_READY",
            "source_run_id": "r",
            "creation_timestamp_ms": now,
            "last_updated_timestamp_ms": now,
        }
        version = {"name": "wine", "version": "1", "source": location, "status": "READY", "run_id": "r"}
        self.answers |= {
            "/api/2.0/mlflow/experiments/get-by-name": {"experiment": experiment},
            "/api/2.0/mlflow/experiments/get": {"experiment": experiment},
            "/api/2.0/mlflow/runs/get": {"run": {"info": run, "data": {}}},
            f"/api/2.0/mlflow/logged-models/{MODEL}": {"model": {"info": model, "data": {}}},
            "/api/2.0/mlflow/registered-models/get": {"registered_model": {"name": "wine"}},
            "/api/2.0/mlflow/model-versions/get": {"model_version": version},
            "/api/2.0/mlflow/model-versions/get-download-uri": {"artifact_uri": location},
        }

    def lists(self, *names: str) -> None:
        """Let a model have these files."""
        self.keeps_artifacts_at("mlflow-artifacts:/1")
        files = [{"path": name, "is_dir": False, "file_size": 7} for name in names]
        self.answers["/api/2.0/mlflow-artifacts/artifacts"] = {"files": files}


MODEL = f"m-{'0' * 32}"


@pytest.fixture(scope="module")
def _impostor() -> Iterator[Impostor]:
    yield from _serving()


@pytest.fixture(scope="module")
def _bystander() -> Iterator[Impostor]:
    yield from _serving()


@pytest.fixture
def impostor(_impostor: Impostor) -> Impostor:
    """A hostile tracking server."""
    return _impostor.forgetting()


@pytest.fixture
def bystander(_bystander: Impostor) -> Impostor:
    """Somebody else's server, which nobody named."""
    return _bystander.forgetting()


def _serving() -> Iterator[Impostor]:
    found = Impostor(uri="")

    class Handler(BaseHTTPRequestHandler):
        def _answer(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            found.requests.append(f"{self.requestline}\n{self.headers}\n{self.rfile.read(length)!r}")
            path = self.path.partition("?")[0]
            known = path in found.answers or "/artifacts/" in path
            body = json.dumps(found.answers.get(path, "planted" if known else {"error_code": "ENDPOINT_NOT_FOUND"}))
            self.send_response(200 if known else 404)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body.encode())))
            self.end_headers()
            self.wfile.write(body.encode())

        do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _answer

        def log_message(self, *_: object) -> None:
            """Keep the output of the tests clean."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        found.uri = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield found
        server.shutdown()
        thread.join()


@dataclass(frozen=True, kw_only=True)
class Client:
    """One process of the payloads that answers many questions, as the program itself asks them."""

    process: subprocess.Popen[str]
    response: Path

    def respond(self, verb: str, request: dict[str, Any]) -> dict[str, Any]:
        """What a payload wrote: a value or an error."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        question = {"verb": verb, "request": request, "response": str(self.response), "retries": 0}
        self.process.stdin.write(json.dumps(question) + "\n")
        self.process.stdin.flush()
        assert self.process.stdout.readline() == "{}\n"
        return dict(json.loads(self.response.read_text()))

    def ask(self, verb: str, **request: Any) -> dict[str, Any]:
        """The value that a payload answers with."""
        response = self.respond(verb, request)
        assert "value" in response, response
        return dict(response["value"])

    def refuse(self, verb: str, **request: Any) -> dict[str, Any]:
        """The error that a payload answers with."""
        response = self.respond(verb, request)
        assert "error" in response, response
        return dict(response["error"])


@pytest.fixture(scope="session")
def registry_python(root: Path, shared: SharedFolder) -> Path:
    """The interpreter of the MLflow of our own lock, which talks to servers."""
    return client_python(root, shared)


@pytest.fixture(scope="module")
def client(
    registry_python: Path, _impostor: Impostor, root: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Client]:
    """The payloads, talking to the hostile server with a token."""
    with asking(registry_python, _impostor, root, tmp_path_factory.mktemp("client")) as found:
        yield found


@contextmanager
def asking(python: Path, impostor: Impostor, root: Path, folder: Path, **variables: str) -> Iterator[Client]:
    """The payloads in a process of their own, with variables of their own."""
    process = subprocess.Popen(
        [python, "-I", root / "src" / "mlflow_uv" / "payloads"],
        cwd=folder,
        env={
            **os.environ,
            **QUIET,
            "MLFLOW_TRACKING_URI": impostor.uri,
            "MLFLOW_TRACKING_TOKEN": TOKEN,
            **variables,
        },
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    with process:
        yield Client(process=process, response=folder / "response.json")
