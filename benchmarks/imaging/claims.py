"""Measures the initial estimates: both variants of each, in alternation."""

import json
import os
import shutil
import statistics
from collections.abc import Callable, Mapping
from pathlib import Path

from race import UV

from .projects import Project
from .workshop import Workshop

ROUNDS = 3
# Logs the same model again and again; the first time imports what is imported, and does not count.
LOGGING = """
import json, statistics, time, warnings
warnings.filterwarnings("ignore")
import mlflow
from mlflow.models import infer_signature
from sklearn.datasets import load_wine
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
wines, cultivars = load_wine(as_frame=True, return_X_y=True)
model = make_pipeline(StandardScaler(), LogisticRegression()).fit(wines, cultivars)
signature = infer_signature(wines, model.predict(wines))
durations = []
for number in range(3):
    with mlflow.start_run():
        started = time.perf_counter()
        logged = mlflow.sklearn.log_model(model, name="wine", signature=signature, input_example=wines.head(5))
        durations.append(time.perf_counter() - started)
lines = open(f"{mlflow.artifacts.download_artifacts(logged.model_uri)}/requirements.txt").read().splitlines()
print(json.dumps([statistics.median(durations[1:]), len(lines)]))
"""


def claims(project: Project) -> dict[str, dict[str, float]]:
    """Seconds of each side of each claim."""
    return {**environments(project), "logging": logging(project)}


def environments(project: Project) -> dict[str, dict[str, float]]:
    """Making an empty environment, and one with the lock installed: downloading everything, and nothing."""
    shop = project.shop
    requirements = shop.folder / "claims.txt"
    export = (UV, "export", "--frozen", "--quiet", "--no-hashes", "--no-annotate", "--no-emit-project")
    shop.run(*export, "--output-file", requirements, folder=project.folder)
    python = shop.run(project.python, "-c", "import sys; print(sys._base_executable)").strip()
    tool = shop.fresh("tool")
    shop.run(UV, "venv", "--quiet", "--python", python, tool)
    shop.run(UV, "pip", "install", "--quiet", "--python", tool / "bin" / "python", "virtualenv")
    making: Mapping[str, tuple[str | Path, ...]] = {
        "venv": (python, "-m", "venv"),
        "virtualenv": (tool / "bin" / "virtualenv", "--quiet", "--no-periodic-update"),
        "uv": (UV, "venv", "--quiet", "--no-project", "--python", python),
    }
    caches = {"PIP_CACHE_DIR": f"{shop.fresh('pip')}", "UV_CACHE_DIR": f"{shop.fresh('uv')}"}

    def full(name: str, *flags: str) -> float:
        folder = shop.fresh(name)
        interpreter = folder / "bin" / "python"
        pip: tuple[str | Path, ...] = (interpreter, "-m", "pip", "install", "--quiet")
        uv: tuple[str | Path, ...] = (UV, "pip", "install", "--quiet", "--python", interpreter, *flags)
        taken = shop.timed(*making[name], folder, **caches)
        taken += shop.timed(*(uv if name == "uv" else pip), "-r", requirements, **caches)
        shutil.rmtree(folder)
        return taken

    empty = {name: median_seconds(lambda name=name: emptied(shop, making[name])) for name in making}  # type: ignore[misc]
    cold = {name: full(name) for name in ("venv", "uv")}
    warm = {name: full(name) for name in ("venv", "virtualenv", "uv")}
    warm["uv, compiled"] = full("uv", "--compile-bytecode")
    return {"empty": empty, "cold": cold, "warm": warm}


def median_seconds(measure: Callable[[], float]) -> float:
    """The median of a few."""
    return statistics.median(measure() for _ in range(ROUNDS))


def emptied(shop: Workshop, argv: tuple[str | Path, ...]) -> float:
    """Seconds to make an environment that nothing is in."""
    folder = shop.fresh("empty")
    taken = shop.timed(*argv, folder)
    shutil.rmtree(folder)
    return taken


def logging(project: Project) -> dict[str, float]:
    """Seconds that MLflow's own log_model takes: requirements found by importing the model, and read from uv.lock."""
    shop = project.shop
    store = shop.fresh("store")
    where = {"MLFLOW_TRACKING_URI": f"sqlite:///{store}/mlflow.db", "_MLFLOW_SERVER_ARTIFACT_ROOT": f"{store}/files"}
    # MLflow starts uv by its name.
    where["PATH"] = os.pathsep.join((str(Path(shutil.which(UV) or UV).parent), shop.variables["PATH"]))
    measurements = {}
    for name, detected in (("imported", "false"), ("lock", "true")):
        printed = shop.run(
            project.python, "-c", LOGGING, folder=project.folder, MLFLOW_UV_AUTO_DETECT=detected, **where
        )
        seconds, lines = json.loads(printed.splitlines()[-1])
        measurements |= {name: seconds, f"{name} lines": lines}
    return measurements
