"""Tests that MLServer's MLflow runtime and the server of this program give the same predictions in the V2 protocol."""

import json
import os
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from mlflow_uv.ops.verify.v2 import MODEL, V2Answers, answers_by_v2
from mlflow_uv.tools.mlflow.model_requests import ModelReply, ModelRequest, send
from tests.console import KeptConsole
from tests.contracts.mlflow_interpreter import QUIET
from tests.ports import free_port
from tests.waiting import CEILING_S

pytestmark = [pytest.mark.extended, pytest.mark.installs]
MLSERVER = ("mlserver>=1.7,<2", "mlserver-mlflow>=1.7,<2")
SAVING = """\
import json, sys
import mlflow, numpy as np, pandas as pd
from mlflow.models import infer_signature
from mlflow.pyfunc import PythonModel

class Mixed(PythonModel):
    def predict(self, context, model_input, params=None):
        rows = zip(model_input["a"], model_input["n"], model_input["s"])
        return np.array([FACTOR * a + n + len(s) for a, n, s in rows])  # MLServer cannot encode a list of numbers

table = pd.DataFrame({"a": [0.5, 2.0, -1.25], "n": [1, 2, 3], "s": ["", "größer", "x y"]})
mlflow.pyfunc.save_model(sys.argv[1], python_model=Mixed(), signature=infer_signature(table, np.array([1.0])))
model = mlflow.pyfunc.load_model(sys.argv[1])
requests = [{"dataframe_split": table.to_dict(orient="split", index=False)}, {"dataframe_records": [
    {"s": "ü", "n": 7, "a": 1.5}]}]
tables = (table, table.assign(s="ü", n=7, a=1.5)[:1])
answers = [{"predictions": model.predict(each).tolist()} for each in tables]
print(json.dumps([requests, answers]))
"""


class Started:
    """A server in a process; see ServingContainer."""

    def __init__(self, process: "subprocess.Popen[bytes]", port: int, log: Path) -> None:
        self._process, self._port, self._log = process, port, log

    def send(self, request: ModelRequest) -> ModelReply | None:
        """See ServingContainer."""
        return send(request, port=self._port)

    def code(self) -> int | None:
        """See ServingContainer."""
        return self._process.poll()

    def log(self) -> str:
        """See ServingContainer."""
        return self._log.read_text(errors="replace")


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The interpreter of an environment with MLServer, which has what the server of this program needs, too."""
    environment = tmp_path_factory.mktemp("mlserver") / "environment"
    subprocess.run(("uv", "venv", "--quiet", "--python", "3.11", environment), check=True, timeout=CEILING_S)
    interpreter = environment / "bin" / "python"
    install = ("uv", "pip", "install", "--quiet", "--python", interpreter, *MLSERVER)
    subprocess.run(install, check=True, timeout=CEILING_S)
    return interpreter


def saved(python: Path, model: Path, factor: float) -> tuple[list[Any], list[Any]]:
    """Save a model, and return its requests and the predictions of MLflow."""
    done = subprocess.run(
        (python, "-I", "-c", SAVING.replace("FACTOR", str(factor)), model),
        env={**os.environ, **QUIET}, cwd=model.parent, capture_output=True, text=True, check=True, timeout=CEILING_S,
    )  # fmt: skip
    requests, answers = json.loads(done.stdout.splitlines()[-1])
    return requests, answers


@contextmanager
def served(folder: Path, argv: Callable[[int], tuple[object, ...]], variables: dict[str, str]) -> Iterator[Started]:
    """A server on a free port, which is ended after the block."""
    port, log = free_port(), folder / f"{time.monotonic_ns()}.log"
    command = [str(word) for word in argv(port)]
    environment = {**os.environ, **QUIET, **variables, "PORT": str(port)}
    with log.open("wb") as file:
        process = subprocess.Popen(command, cwd=folder, env=environment, stdout=file, stderr=file)
    try:
        yield Started(process, port, log)
    finally:
        process.terminate()
        process.wait(timeout=CEILING_S)


def by_mlserver(python: Path, model: Path, folder: Path) -> Callable[[int], tuple[object, ...]]:
    """The command of MLServer."""

    def argv(port: int) -> tuple[object, ...]:
        settings = {
            "debug": False, "host": "127.0.0.1", "http_port": port, "grpc_port": free_port(),
            "metrics_port": free_port(), "parallel_workers": 0,
        }  # fmt: skip
        of_model = {
            "name": MODEL, "implementation": "mlserver_mlflow.MLflowRuntime", "parameters": {"uri": str(model)},
        }  # fmt: skip
        (folder / "settings.json").write_text(json.dumps(settings))
        (folder / "model-settings.json").write_text(json.dumps(of_model))
        return (python.with_name("mlserver"), "start", folder)

    return argv


def predictions(server: Started, recorded: tuple[list[Any], list[Any]]) -> V2Answers:
    """What a server predicts for the requests."""
    clock = SimpleNamespace(now_s=time.monotonic, wait=time.sleep)
    tools = SimpleNamespace(clock=clock, console=KeptConsole())
    return answers_by_v2(cast("Any", server), recorded, CEILING_S, cast("Any", tools))


def test_both_servers_predict_what_mlflow_predicts(python: Path, tmp_path: Path, root: Path) -> None:
    """
    For a table with numbers and text; another model behind the reference is noticed.
    """
    recorded = saved(python, tmp_path / "model", 2.0)
    saved(python, tmp_path / "other", 3.0)
    places = [tmp_path / name for name in ("one", "two", "three")]
    for place in places:
        place.mkdir()

    with served(places[0], by_mlserver(python, tmp_path / "model", places[0]), {}) as reference:
        expected = predictions(reference, recorded)
    ours = {"MLFLOW_UV_MODEL": str(tmp_path / "model"), "HOST": "127.0.0.1", "WORKERS": "1", "MODEL_NAME": MODEL}
    serving = root / "src" / "mlflow_uv" / "serving"
    with served(places[1], lambda _port: (python, "-I", "-B", serving), ours) as server:
        found = predictions(server, recorded)
    with served(places[2], by_mlserver(python, tmp_path / "other", places[2]), {}) as other:
        otherwise = predictions(other, recorded)

    assert ([*expected.recorded], "") == (recorded[1], expected.why)
    assert expected.recorded == expected.answers == found.answers
    assert expected.answers != otherwise.answers
