"""Projects whose locks hold an MLflow of another time are released, up to what that MLflow can do."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from .consumer import make_consumer
from .sample_project import SampleProject, error

# In words that MLflow 2 and 3 both know.
TRAINING = """\
import mlflow
import pandas as pd


class Double(mlflow.pyfunc.PythonModel):
    def predict(self, context, model_input, params=None):
        return [2.0 * x for x in model_input["x"]]


with mlflow.start_run():
    mlflow.pyfunc.log_model("double", python_model=Double(), input_example=pd.DataFrame({"x": [1.0, 2.5]}))
"""
TOOL_MISSING, CHAIN_BROKEN = 5, 11


def made(place: Path, root: Path, version: str) -> SampleProject:
    """A consumer with that MLflow."""
    (place / "temporary").mkdir()
    example = shutil.copytree(root / "tests" / "older" / f"mlflow-{version}", place / "example")
    (example / "train.py").write_text(TRAINING)
    consumer = make_consumer(place / "older", place / "home", example, engine="none")
    return SampleProject(consumer=consumer, temporary=place / "temporary", untouched=place / "untouched")


def model_files(sample: SampleProject) -> Path:
    """Where the store keeps the model of the record."""
    name = json.loads(sample.consumer.record.read_text())["model"]["name"]
    (path,) = (sample.consumer.store / "artifacts").glob(f"*/*/artifacts/{name}")
    return path


@pytest.mark.extended
@pytest.mark.parametrize(("version", "scheme"), [("2.20", "runs:/"), ("2.22", "runs:/"), ("3.1", "m-")])
def test_a_project_of_another_time_is_released(tmp_path: Path, root: Path, version: str, scheme: str) -> None:
    """
    From its lock to a tested version, and found again; nothing is left in the checkout.
    """
    sample = made(tmp_path, root, version)

    result = sample.run("release", "--engine", "none")
    again = sample.run("release", "--engine", "none")

    record = json.loads(sample.consumer.record.read_text())
    assert (0, "tested", {"candidate": "1"}) == (result.code, result.outputs["state"], sample.store.aliases), (
        result.stderr
    )
    assert (0, True, False) == (again.code, again.outputs["reused"], again.outputs["created"])
    assert record["model"]["mlflow"].startswith(f"{version}.")
    assert record["model"]["model_id"].startswith(scheme)
    assert record["model"]["model_id"] == record["version"]["model_id"]
    assert {".git", "pyproject.toml", "train.py", "uv.lock"} == {path.name for path in sample.folder.iterdir()}


@pytest.mark.extended
def test_the_files_of_a_model_of_mlflow_2_are_digested_too(tmp_path: Path, root: Path) -> None:
    """
    A pin that was changed in the folder of the run breaks `requirements`; the run's tags hold the record's digest.
    """
    sample = made(tmp_path, root, "2.22")
    logged = sample.run("log-model")
    sample.consumer.edit(model_files(sample) / "requirements.txt", "mlflow==2.22.1", "mlflow==2.22.0")

    changed = sample.run("register")
    sample.consumer.edit(model_files(sample) / "requirements.txt", "mlflow==2.22.0", "mlflow==2.22.1")
    record = json.loads(sample.consumer.record.read_text())
    sample.consumer.record.write_text(json.dumps({**record, "release_key": "0" * 64}))
    edited = sample.run("register")

    assert (0, f"runs:/{logged.outputs['run-id']}/double") == (logged.code, logged.outputs["model-uri"])
    assert (CHAIN_BROKEN, True) == (changed.code, "`requirements`" in error(changed)[2])
    assert (CHAIN_BROKEN, True) == (edited.code, "`record`" in error(edited)[2])


@pytest.mark.extended
def test_a_saved_folder_is_released_by_mlflow_2(tmp_path: Path, root: Path) -> None:
    """
    A folder that `save_model` wrote becomes a model of a run, and its version names that folder.
    """
    sample = made(tmp_path, root, "2.22")
    assert sample.run("log-model").code == 0
    shutil.copytree(model_files(sample), sample.folder / "saved", ignore=shutil.ignore_patterns("mlflow-uv"))
    sample.consumer.edit(sample.folder / "pyproject.toml", 'train = "python train.py"', 'model = "saved"')
    sample.commit()

    result = sample.run("release", "--engine", "none")

    version = json.loads(sample.consumer.record.read_text())["version"]["model_id"]
    assert (0, "tested") == (result.code, result.outputs["state"]), result.stderr
    assert f"runs:/{result.outputs['run-id']}/saved" == version


@pytest.mark.extended
def test_an_mlflow_that_is_too_old_is_told_before_training(tmp_path: Path, root: Path) -> None:
    """
    MLflow 2.19 ends with the oldest one that works and the command that brings it.
    """
    sample = made(tmp_path, root, "2.22")
    sample.consumer.edit(sample.folder / "pyproject.toml", "mlflow==2.22.*", "mlflow==2.19.*")
    subprocess.run(["uv", "lock", "--quiet"], cwd=sample.folder, check=True)

    result = sample.run("log-model")

    code, kind, sentence, fix = error(result)
    assert (TOOL_MISSING, "ToolMissing", "uv add 'mlflow>=2.20'") == (code, kind, fix), result.stderr
    assert "MLflow is 2.19." in sentence
    assert [] == sample.store.runs
