"""Contract: how MLflow's scoring app is made of the packages that a lock has, and what is said where it cannot be."""

import json
from pathlib import Path

import pytest

from tests.contracts.mlflow_interpreter import MlflowInterpreter
from tests.contracts.serving_process import Starter, scripted_model

CANNOT_LOAD = 3
# Starlette before 1.0 has what MLflow uses, and this takes it away, as later ones do.
WITHOUT_ROUTE = """
import importlib, pathlib, runpy, sys
from fastapi import FastAPI
from starlette.applications import Starlette
if hasattr(Starlette, "route"):
    del Starlette.route
folder = pathlib.Path(sys.argv[1])
runpy.run_path(str(folder / "__main__.py"))["load_package"](folder)
importlib.import_module("mlflow_uv_serving.older_mlflow.fastapi_compat").restore_route()
app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)

@app.route("/ping", methods=["GET"])
@app.route("/health", methods=["GET"])
async def ping(request):
    ...

print([(route.path, sorted(route.methods), route.endpoint is ping) for route in app.routes])
"""
# What `find_spec` says where a package is not installed.
NO_READER = """
import importlib.util

found = importlib.util.find_spec
importlib.util.find_spec = lambda name, *more: None if name in ("pyarrow", "fastparquet") else found(name, *more)
"""
BREAKS = """
import mlflow.pyfunc.scoring_server

def broken(model):
    raise AttributeError("'FastAPI' object has no attribute 'route'")

mlflow.pyfunc.scoring_server.init = broken
"""


def test_the_decorator_that_starlette_dropped_is_there_for_mlflow(mlflow: MlflowInterpreter, serving: Path) -> None:
    """
    MLflow 2.21 to 3.10 with a FastAPI of today builds its app; each path answers with MLflow's own function.
    """
    done = mlflow.run("-c", WITHOUT_ROUTE, serving, cwd=serving.parent)

    expected = [("/health", ["GET", "HEAD"], True), ("/ping", ["GET", "HEAD"], True)]
    assert (str(expected), "") == (done.stdout.strip(), done.stderr)


def test_parquet_without_its_reader_is_no_mistake_of_the_client(start: Starter, tmp_path: Path) -> None:
    """
    A server whose packages cannot read it, as a slim one's, says 415, why, and what it reads instead.
    """
    body, parquet = b"PAR1", {"Content-Type": "application/vnd.apache.parquet"}

    with start(scripted_model(tmp_path / "model", loading=NO_READER)) as served:
        status, _, reply = served.ready().ask("POST", "/invocations", body, parquet)
        without_type = served.ask("POST", "/invocations", body)
        table = served.invoke({"x": 1})

    message = json.loads(reply)["message"]
    assert (415, 415, 200) == (status, without_type[0], table[0])
    assert "pyarrow is not installed" in message
    assert "Send one of application/json, text/csv, or add it to the project's dependencies." in message
    assert "one of application/json, text/csv." in json.loads(without_type[2])["message"]


@pytest.mark.parametrize("workers", ["1", "2"])
def test_an_app_that_cannot_be_made_is_the_reason_of_the_end(start: Starter, tmp_path: Path, workers: str) -> None:
    """
    Packages that do not fit each other end the server with its own status and a sentence, from a fork as well.
    """
    with start(scripted_model(tmp_path / "model", loading=BREAKS), WORKERS=workers) as served:
        code = served.end()

    sentence = "MLflow cannot make its scoring app: AttributeError: 'FastAPI' object has no attribute 'route'"
    assert (CANNOT_LOAD, sentence) == (code, served.last_line())
