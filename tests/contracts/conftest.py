"""What the contract tests with a real MLflow stand on: one environment from the lock of examples/wine, one training."""

import json
import os
import shutil
import socket
import subprocess
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

SECONDS = 90
QUIET = {"MLFLOW_DISABLE_TELEMETRY": "true"}
WINE_KEY = "wine-release"


@dataclass(frozen=True, kw_only=True, slots=True)
class Mlflow:
    """An interpreter that has MLflow, and the variables that say which stores it talks to."""

    python: Path
    payloads: Path
    variables: Mapping[str, str] = field(default_factory=dict)

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

    def respond(self, verb: str, request: Mapping[str, Any]) -> dict[str, Any]:
        with self.start(verb, request) as process:
            process.communicate(json.dumps(request), timeout=SECONDS)
        return dict(json.loads(response_file(process).read_text(encoding="utf-8")))

    def start(self, verb: str, request: Mapping[str, Any]) -> subprocess.Popen[str]:
        """A payload on its way; its request is still to be written to its standard input."""
        name = f"{verb}-{time.monotonic_ns()}.json"
        scratch = Path(os.environ["MLFLOW_UV_HOME"], "responses")
        scratch.mkdir(parents=True, exist_ok=True)
        assert request is not None
        return subprocess.Popen(
            [self.python, "-I", self.payloads, verb, scratch / name],
            cwd=scratch,
            env={**os.environ, **QUIET, **self.variables},
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            text=True,
        )

    def run(self, *arguments: str | Path, cwd: Path, **variables: str) -> subprocess.CompletedProcess[str]:
        """Run the interpreter on something else than a payload."""
        return subprocess.run(
            [self.python, *arguments],
            cwd=cwd,
            env={**os.environ, **QUIET, **self.variables, **variables},
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )


def response_file(process: subprocess.Popen[str]) -> Path:
    """Where a payload writes its answer: the last word of its command line."""
    assert isinstance(process.args, list)
    return Path(process.args[-1])


def synced(project: Path, environment: Path, *options: str) -> Path:
    """The Python of an environment made from a project's lock."""
    subprocess.run(
        ["uv", "sync", "--frozen", "--quiet", "--project", project, *options],
        cwd=environment.parent,
        env={**os.environ, "UV_PROJECT_ENVIRONMENT": str(environment)},
        check=True,
        timeout=SECONDS,
    )
    return environment / "bin" / "python"


def free_port() -> int:
    """A port nobody listens on at the moment."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def wait_for(url: str, process: subprocess.Popen[Any]) -> None:
    """Return when the URL answers; complain when the process ends or a minute has passed."""
    deadline = time.monotonic() + SECONDS
    while time.monotonic() < deadline:
        assert process.poll() is None, f"ended with {process.returncode} before {url} answered"
        try:
            with urllib.request.urlopen(url, timeout=5):  # noqa: S310 - our own loopback
                return
        except OSError:
            time.sleep(0.05)
    raise AssertionError(f"{url} does not answer")


@pytest.fixture(scope="session")
def wine_project(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of examples/wine: training writes nothing into the checkout."""
    return Path(shutil.copytree(root / "examples" / "wine", tmp_path_factory.mktemp("wine") / "project"))


@pytest.fixture(scope="session")
def mlflow(root: Path, wine_project: Path) -> Mlflow:
    """MLflow as the lock of examples/wine has it, without a store."""
    python = synced(wine_project, wine_project.parent / "environment")
    return Mlflow(python=python, payloads=root / "src" / "mlflow_uv" / "payloads")


@pytest.fixture(scope="session")
def skinny(root: Path, mlflow: Mlflow, tmp_path_factory: pytest.TempPathFactory) -> Mlflow:
    """The small MLflow of our own lock, which talks to registries: no numpy, no pandas, no SQLAlchemy."""
    python = synced(root, tmp_path_factory.mktemp("skinny") / "environment", "--only-group", "registry")
    return Mlflow(python=python, payloads=mlflow.payloads)


@pytest.fixture(scope="session")
def local_store(mlflow: Mlflow, tmp_path_factory: pytest.TempPathFactory) -> Mlflow:
    """MLflow on a SQLite store whose artifacts lie next to it."""
    folder = tmp_path_factory.mktemp("store")
    return Mlflow(
        python=mlflow.python,
        payloads=mlflow.payloads,
        variables={
            "MLFLOW_TRACKING_URI": f"sqlite:///{folder / 'mlflow.db'}",
            "_MLFLOW_SERVER_ARTIFACT_ROOT": str(folder / "artifacts"),
        },
    )


@pytest.fixture(scope="session")
def wine_model(local_store: Mlflow, wine_project: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The model that examples/wine trains, as the store returns it."""
    trained = local_store.run(
        "train.py",
        cwd=wine_project,
        MLFLOW_RUN_CONTEXT=json.dumps({"mlflow-uv.release-key": WINE_KEY}),
        MLFLOW_LOG_UV_FILES="false",
    )
    assert trained.returncode == 0, trained.stderr
    found = local_store.ask("find-models", tag=["mlflow-uv.release-key", WINE_KEY])
    destination = tmp_path_factory.mktemp("model") / "wine"
    local_store.ask("download-model", model_id=found["models"][0]["model_id"], destination=str(destination))
    return destination


@pytest.fixture(scope="session")
def remote_store(mlflow: Mlflow, skinny: Mlflow, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mlflow]:
    """mlflow-skinny talking to a real `mlflow server` on loopback that hands artifacts through."""
    folder = tmp_path_factory.mktemp("server")
    port = free_port()
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(
            [
                *(mlflow.python, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port)),
                *("--workers", "1", "--backend-store-uri", "sqlite:///mlflow.db", "--artifacts-destination", "kept"),
            ],
            cwd=folder,
            env={**os.environ, **QUIET},
            stdout=log,
            stderr=log,
        )
        try:
            wait_for(f"http://127.0.0.1:{port}/health", process)
            yield Mlflow(
                python=skinny.python,
                payloads=skinny.payloads,
                variables={"MLFLOW_TRACKING_URI": f"http://127.0.0.1:{port}"},
            )
        finally:
            process.terminate()
            process.wait(SECONDS)


@pytest.fixture(scope="session", name="find_port")
def _find_port() -> Callable[[], int]:
    return free_port


@pytest.fixture(scope="session", name="wait_for")
def _wait_for() -> Callable[[str, subprocess.Popen[Any]], None]:
    return wait_for
