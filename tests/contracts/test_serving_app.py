"""Contract: how MLflow's scoring app is made of the packages that a lock has, and what is said where it cannot be."""

from pathlib import Path

import pytest

from tests.contracts.islands import Mlflow
from tests.contracts.servingbench import Starter, puppet

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
importlib.import_module("mlflow_uv_serving.routing").restore_route()
app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)

@app.route("/ping", methods=["GET"])
@app.route("/health", methods=["GET"])
async def ping(request):
    ...

print([(route.path, sorted(route.methods), route.endpoint is ping) for route in app.routes])
"""
BREAKS = """
import mlflow.pyfunc.scoring_server

def broken(model):
    raise AttributeError("'FastAPI' object has no attribute 'route'")

mlflow.pyfunc.scoring_server.init = broken
"""


def test_the_decorator_that_starlette_dropped_is_there_for_mlflow(mlflow: Mlflow, serving: Path) -> None:
    """
    MLflow 2.21 to 3.10 with a FastAPI of today builds its app; each path answers with MLflow's own function.
    """
    done = mlflow.run("-c", WITHOUT_ROUTE, serving, cwd=serving.parent)

    expected = [("/health", ["GET", "HEAD"], True), ("/ping", ["GET", "HEAD"], True)]
    assert (str(expected), "") == (done.stdout.strip(), done.stderr)


@pytest.mark.parametrize("workers", ["1", "2"])
def test_an_app_that_cannot_be_made_is_the_reason_of_the_end(start: Starter, tmp_path: Path, workers: str) -> None:
    """
    Packages that do not fit each other end the server with its own status and a sentence, from a fork as well.
    """
    with start(puppet(tmp_path / "model", loading=BREAKS), WORKERS=workers) as served:
        code = served.end()

    sentence = "MLflow cannot make its scoring app: AttributeError: 'FastAPI' object has no attribute 'route'"
    assert (CANNOT_LOAD, sentence) == (code, served.last_line())
