"""Contract: a model whose classes live in a uv workspace, without its packages and with their wheels inside it."""

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.contracts.mlflow_interpreter import MlflowInterpreter, synced

pytestmark = pytest.mark.extended
KEY = "workspace-release"
WHEELS = ("features-0.1.0-py3-none-any.whl", "training-0.1.0-py3-none-any.whl")


@pytest.fixture(scope="module")
def workspace(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of examples/workspace."""
    return Path(shutil.copytree(root / "examples" / "workspace", tmp_path_factory.mktemp("workspace") / "project"))


@pytest.fixture(scope="module")
def model(workspace: Path, local_store: MlflowInterpreter) -> Path:
    """The model that the workspace trains, as plain MLflow logs it."""
    python = synced(workspace, workspace.parent / "environment", "--package", "training")
    training = MlflowInterpreter(python=python, payloads=local_store.payloads, variables=local_store.variables)
    tags = {"mlflow-uv.release-key": KEY}
    trained = training.run("-m", "training", cwd=workspace, MLFLOW_RUN_CONTEXT=json.dumps(tags))
    assert trained.returncode == 0, trained.stderr
    found = training.ask("find-models", tag=["mlflow-uv.release-key", KEY])
    destination = workspace.parent / "model"
    training.ask("download-model", model_id=found["models"][0]["model_id"], destination=str(destination))
    return destination


def test_plain_mlflow_cannot_load_it_without_the_checkout(mlflow: MlflowInterpreter, model: Path) -> None:
    """
    The requirements name folders of the checkout, and an environment without the packages cannot load the model.
    """
    requirements = (model / "requirements.txt").read_text().splitlines()

    refused = mlflow.refuse("answer", model=str(model), requests=[])

    assert {"-e ./packages/features", "-e ./packages/training"} <= set(requirements)
    assert ("cannot-load", True) == (refused["kind"], "No module named 'training'" in refused["message"])


def test_wheels_that_travel_with_the_model_restore_it(
    mlflow: MlflowInterpreter, workspace: Path, model: Path, tmp_path: Path
) -> None:
    """
    A requirement that is a path inside the model is found by MLflow's own restore, whatever folder it is started in.
    """
    travelling = Path(
        shutil.copytree(model, tmp_path / "model", ignore=shutil.ignore_patterns("uv.lock", "pyproject.toml"))
    )
    wheels = travelling / "mlflow-uv" / "wheels"
    subprocess.run(
        ["uv", "build", "--quiet", "--all-packages", "--wheel", "--out-dir", wheels], cwd=workspace, check=True
    )
    options = (
        "--package",
        "training",
        "--no-dev",
        "--no-hashes",
        "--no-header",
        "--no-annotate",
        "--no-emit-workspace",
    )
    exported = subprocess.run(
        ["uv", "export", "--quiet", "--frozen", *options], cwd=workspace, check=True, capture_output=True, text=True
    )
    lines = "".join(f"mlflow-uv/wheels/{wheel}\n" for wheel in WHEELS)
    (travelling / "requirements.txt").write_text(lines + exported.stdout)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()

    done = mlflow.run(
        *("-m", "mlflow", "models", "predict", "--env-manager", "uv", "--content-type", "json"),
        *("--model-uri", travelling, "--input-path", travelling / "serving_input_example.json"),
        cwd=elsewhere,
        MLFLOW_ENV_ROOT=str(tmp_path / "environments"),
        PATH=os.pathsep.join((str(mlflow.python.parent), os.environ["PATH"])),
    )

    assert 0 == done.returncode, done.stderr[-2000:]
    predictions = json.loads(done.stdout.strip().splitlines()[-1])["predictions"]
    assert ["cultivar 3", "cultivar 2"] == [one["cultivar"] for one in predictions[:2]]
