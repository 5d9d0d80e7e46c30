"""Fixtures of the contract tests: an environment from the lock of examples/wine, and one training run in it."""

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import exports
from tests.contracts.mlflow_interpreter import MlflowInterpreter, client_python, wine_python
from tests.contracts.payload_worker import Worker, working
from tests.contracts.serving_process import Served, Starter
from tests.sharing import SharedFolder
from tests.stores import mlflow_server

WINE_KEY = "wine-release"


@pytest.fixture(scope="session")
def wine_project(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of examples/wine: training writes nothing into the checkout."""
    return Path(shutil.copytree(root / "examples" / "wine", tmp_path_factory.mktemp("wine") / "project"))


@pytest.fixture(scope="session")
def mlflow(root: Path, shared: SharedFolder) -> MlflowInterpreter:
    """MLflow as the lock of examples/wine has it, without a store."""
    return MlflowInterpreter(python=wine_python(root, shared), payloads=root / "src" / "mlflow_uv" / "payloads")


@pytest.fixture(scope="session")
def skinny(root: Path, mlflow: MlflowInterpreter, shared: SharedFolder) -> MlflowInterpreter:
    """The small MLflow of our own lock, which talks to registries: no numpy, no pandas, no SQLAlchemy."""
    return MlflowInterpreter(python=client_python(root, shared), payloads=mlflow.payloads)


@pytest.fixture(scope="session")
def local_store(mlflow: MlflowInterpreter, tmp_path_factory: pytest.TempPathFactory) -> MlflowInterpreter:
    """MLflow on a SQLite store whose artifacts lie next to it."""
    folder = tmp_path_factory.mktemp("store")
    return MlflowInterpreter(
        python=mlflow.python,
        payloads=mlflow.payloads,
        variables={
            "MLFLOW_TRACKING_URI": f"sqlite:///{folder / 'mlflow.db'}",
            "_MLFLOW_SERVER_ARTIFACT_ROOT": str(folder / "artifacts"),
        },
    )


@pytest.fixture(scope="session")
def wine_model(local_store: MlflowInterpreter, wine_project: Path, shared: SharedFolder) -> Path:
    """The model that examples/wine trains, as the store returns it."""

    def train(destination: Path) -> None:
        trained = local_store.run(
            "train.py",
            cwd=wine_project,
            MLFLOW_RUN_CONTEXT=json.dumps({"mlflow-uv.release-key": WINE_KEY}),
            MLFLOW_LOG_UV_FILES="false",
        )
        assert trained.returncode == 0, trained.stderr
        models = local_store.ask("find-models", tag=["mlflow-uv.release-key", WINE_KEY])["models"]
        local_store.ask("download-model", model_id=models[0]["model_id"], destination=str(destination))

    return shared.make_once("wine-model", train)


@pytest.fixture(scope="session")
def remote_store(
    mlflow: MlflowInterpreter, skinny: MlflowInterpreter, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[MlflowInterpreter]:
    """mlflow-skinny talking to a real `mlflow server` on loopback that hands artifacts through."""
    with mlflow_server(mlflow.python, tmp_path_factory.mktemp("server")) as uri:
        yield MlflowInterpreter(python=skinny.python, payloads=skinny.payloads, variables={"MLFLOW_TRACKING_URI": uri})


@pytest.fixture(scope="module")
def workers(
    remote_store: MlflowInterpreter, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Worker, Worker]]:
    """Two machines on one tracking server."""
    folders = [tmp_path_factory.mktemp(name) for name in ("one", "two")]
    with working(remote_store, folders[0]) as one, working(remote_store, folders[1]) as two:
        yield one, two


@pytest.fixture(scope="session")
def pip(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, ...]:
    """The command line of a real pip that installs a list into the environment of PYTHON; see `exports.installed`."""
    environment = tmp_path_factory.mktemp("pip")
    subprocess.run([sys.executable, "-m", "venv", environment], check=True, env=exports.offline())
    python = str(environment / "bin" / "python")
    return (python, "-m", "pip", "--python", "PYTHON", "install", "--quiet", "--no-deps", "--no-build-isolation", "-r")


@pytest.fixture(scope="session")
def serving(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The server's folder as an image has it, with the library of its metrics beside it."""
    folder = tmp_path_factory.mktemp("image") / "mlflow-uv"
    shutil.copytree(root / "src" / "mlflow_uv" / "serving", folder, ignore=shutil.ignore_patterns("__pycache__"))
    export = ("uv", "export", "--frozen", "--quiet", "--project", root, "--only-group", "serving")
    pins = subprocess.run(export, capture_output=True, check=True).stdout
    install = ("uv", "pip", "install", "--quiet", "--require-hashes", "--target", folder / "lib", "-r", "-")
    subprocess.run((*install, "--python", sys.executable), input=pins, check=True)
    return folder


@pytest.fixture(scope="session")
def start(mlflow: MlflowInterpreter, serving: Path, tmp_path_factory: pytest.TempPathFactory) -> Starter:
    """Start the server for a model; see Starter."""
    return Starter(mlflow, serving, tmp_path_factory.mktemp("serving"))


@pytest.fixture(scope="session")
def wine(start: Starter, wine_model: Path) -> Iterator[Served]:
    """A server for the wine model with everything turned on."""
    variables = {
        "MODEL_NAME": "wine",
        "MODEL_VERSION": "3",
        "METRICS": "1",
        "ACCESS_LOG": "json",
        "BODY_LIMIT": "1000000",
    }
    with start(wine_model, **variables) as served:
        yield served.ready()
