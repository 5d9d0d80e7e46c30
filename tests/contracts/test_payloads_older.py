"""Contract: an MLflow 2 keeps a model as a folder of its run, and we call it by the URI of that folder."""

import json
import textwrap
from pathlib import Path
from typing import Any

import pytest

from tests.contracts.mlflow_interpreter import MlflowInterpreter, synced
from tests.contracts.payload_worker import ask_each
from tests.stores import mlflow_server

KEY = "older"
TRAINING = textwrap.dedent("""
    import mlflow

    class Echo(mlflow.pyfunc.PythonModel):
        def predict(self, context, model_input, params=None):
            return model_input

    def log(path, **options):
        return mlflow.pyfunc.log_model(path, python_model=Echo(), pip_requirements=["mlflow"], **options)

    with mlflow.start_run():
        log("first")
        log("models/second")
        log("first")
    with mlflow.start_run():
        log("by-itself", registered_model_name="adopted")
""")


@pytest.fixture(scope="session")
def older(root: Path, mlflow: MlflowInterpreter, tmp_path_factory: pytest.TempPathFactory) -> MlflowInterpreter:
    """The MLflow of a lock from 2025, on a SQLite store whose artifacts lie next to it."""
    return interpreter(root, mlflow, "2.22", tmp_path_factory.mktemp("older"))


def interpreter(root: Path, mlflow: MlflowInterpreter, version: str, folder: Path) -> MlflowInterpreter:
    """An environment with that MLflow, on such a store in a folder."""
    python = synced(root / "tests" / "older" / f"mlflow-{version}", folder / "environment", "--no-install-project")
    variables = {"MLFLOW_TRACKING_URI": f"sqlite:///{folder / 'mlflow.db'}"}
    asked = MlflowInterpreter(python=python, payloads=mlflow.payloads, variables=variables)
    asked.ask("prepare-experiment", experiment="wine", artifact_location=(folder / "artifacts").as_uri())
    return asked


def require_records(asked: MlflowInterpreter, folder: Path) -> None:
    """A record that a run does not have is not found, one that it has is returned, one that cannot be read neither."""
    run_id = asked.ask("create-run", experiment="wine", tags={})["run_id"]
    (folder / "record.json").write_text("{}")
    wanted = {"run_id": run_id, "path": "mlflow-uv/wine/1/record.json", "destination": str(folder / "back.json")}

    missing = asked.refuse("download-record", **wanted)
    asked.ask("log-record", run_id=run_id, path=wanted["path"], file=str(folder / "record.json"))
    asked.ask("download-record", **wanted)
    (stored,) = Path(asked.variables["MLFLOW_TRACKING_URI"].removeprefix("sqlite:///")).parent.rglob("record.json")
    stored.unlink()
    stored.mkdir()
    (stored / "a folder").touch()
    unreadable = asked.refuse("download-record", **wanted)

    assert ("not-found", "{}") == (missing["kind"], (folder / "back.json").read_text())
    assert "not-found" != unreadable["kind"]


def trained(older: MlflowInterpreter, folder: Path) -> dict[str, Any]:
    """What is found after a training in a folder, and what else lies there then."""
    (folder / "train.py").write_text(TRAINING)
    context = json.dumps({"mlflow-uv.attempt": KEY})
    done = older.run("train.py", cwd=folder, MLFLOW_RUN_CONTEXT=context, MLFLOW_EXPERIMENT_NAME="wine")
    assert done.returncode == 0, done.stderr
    found = older.ask("find-models", tag=["mlflow-uv.attempt", KEY])
    return {**found, "written": {path.relative_to(folder).as_posix() for path in folder.rglob("*")} - {"train.py"}}


@pytest.fixture(scope="session")
def found(older: MlflowInterpreter, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The models of that training."""
    return trained(older, tmp_path_factory.mktemp("checkout"))


def released(model: dict[str, Any], folder: Path) -> list[tuple[str, dict[str, Any]]]:
    """The requests of a release about one model, without the training."""
    (folder / "overlay" / "mlflow-uv").mkdir(parents=True)
    (folder / "overlay" / "mlflow-uv" / "uv.lock").write_text("version = 1\n")
    (folder / "overlay" / "requirements.txt").write_text("mlflow==2.22.1\n")
    tags = {"mlflow-uv.release-key": KEY, "mlflow-uv.model-sha256": "digest"}
    version = {"name": "wine", "model_id": model["model_id"], "model_sha256": "digest", "timeout_s": 30}
    return [
        ("overwrite-model", {"model_id": model["model_id"], "folder": str(folder / "overlay"), "delete": ["MLmodel"]}),
        ("overwrite-model", {"model_id": model["model_id"], "folder": str(folder / "overlay"), "delete": []}),
        ("tag", {"model_id": model["model_id"], "run_id": model["run_id"], "tags": tags}),
        ("find-released", {"release_key": KEY}),
        ("describe-model", {"model_id": model["model_id"]}),
        ("find-or-create-version", {**version, "tags": tags, "description": "made by a test"}),
        ("find-or-create-version", {**version, "tags": tags, "description": "made by a test"}),
        ("describe-version", {"name": "wine", "version": "1"}),
    ]


def test_the_models_of_a_run_are_called_by_the_uri_that_loads_them(found: dict[str, Any]) -> None:
    """
    Found by the note that MLflow 2 keeps on the run; of two that were logged into one folder the later is left.
    """
    first, second = (run["run_id"] for run in found["runs"])

    assert [
        (f"runs:/{first}/models/second", "models/second", "READY"),
        (f"runs:/{first}/first", "first", "READY"),
        (f"runs:/{second}/by-itself", "by-itself", "READY"),
    ] == [(model["model_id"], model["name"], model["status"]) for model in found["models"]]


def test_what_registered_itself_is_known_by_its_source(found: dict[str, Any]) -> None:
    """
    A version of MLflow 2 names a place; it is the model in that folder of the run.
    """
    (version,) = found["versions"]

    assert ("adopted", found["models"][-1]["model_id"]) == (version["name"], version["model_id"])


def test_artifacts_lie_where_the_experiment_was_told(older: MlflowInterpreter, found: dict[str, Any]) -> None:
    """
    An MLflow that ignores _MLFLOW_SERVER_ARTIFACT_ROOT makes an empty folder in the checkout, and puts nothing there.
    """
    store = Path(older.variables["MLFLOW_TRACKING_URI"].removeprefix("sqlite:///")).parent

    places = {model["artifact_location"].partition("artifacts/")[0] for model in found["models"]}

    assert ({"mlruns"}, {f"{store.as_uri()}/"}) == (found["written"], places)


@pytest.mark.extended
def test_such_a_model_is_released_like_any_other(
    older: MlflowInterpreter, found: dict[str, Any], tmp_path: Path
) -> None:
    """
    Overwritten, tagged on its run, found again by its key, registered once; and its neighbour has none of its tags.
    """
    second, first, _ = found["models"]
    requests = released(second, tmp_path)
    requests = [*requests[1:], ("describe-model", {"model_id": first["model_id"]})]
    destination = tmp_path / "model"

    *_, again, about, made, same, version, neighbour = ask_each(older, *requests)
    older.ask("download-model", model_id=second["model_id"], destination=str(destination))

    assert [second["model_id"]] == [model["model_id"] for model in again["models"]]
    assert ("digest", {}) == (about["tags"]["mlflow-uv.model-sha256"], neighbour["tags"])
    assert (True, False, "1") == (made["created"], same["created"], same["version"])
    assert second["model_id"] == version["model_id"] == made["model_id"]
    assert ("mlflow==2.22.1\n", True) == (
        (destination / "requirements.txt").read_text(), (destination / "mlflow-uv" / "uv.lock").is_file(),
    )  # fmt: skip


@pytest.mark.extended
def test_what_is_deleted_is_gone(older: MlflowInterpreter, found: dict[str, Any], tmp_path: Path) -> None:
    """
    A file that was taken away is looked for; a folder without MLmodel is no model any more.
    """
    last = found["models"][-1]
    (overwrite, *_) = released(last, tmp_path)

    ask_each(older, overwrite)
    refusal = older.refuse("download-model", model_id=last["model_id"], destination=str(tmp_path / "model"))

    assert ("not-found", f"`{last['model_id']}` has no MLmodel file") == (refusal["kind"], refusal["message"])


@pytest.mark.extended
def test_a_saved_folder_becomes_a_model_of_a_run(older: MlflowInterpreter, tmp_path: Path) -> None:
    """
    The run notes it as `log_model` would have, and what was logged says which run it is of.
    """
    (tmp_path / "saved").mkdir()
    (tmp_path / "saved" / "MLmodel").write_text("flavors:\n  python_function:\n    loader_module: nothing\n")
    run_id = older.ask("create-run", experiment="wine", tags={})["run_id"]

    logged = older.ask("log-folder", folder=str(tmp_path / "saved"), name="saved", run_id=run_id)
    there, _ = ask_each(
        older,
        ("find-models", {"run_id": run_id}),
        ("download-model", {"model_id": logged["model_id"], "destination": str(tmp_path / "model")}),
    )

    assert [logged["model_id"]] == [model["model_id"] for model in there["models"]]
    assert f"run_id: {run_id}" in (tmp_path / "model" / "MLmodel").read_text()


@pytest.mark.extended
def test_a_newer_client_and_server_understand_it(
    older: MlflowInterpreter, mlflow: MlflowInterpreter, skinny: MlflowInterpreter, tmp_path: Path
) -> None:
    """
    A project's MLflow 2 logs to a server of MLflow 3; what only talks to the registry is the MLflow 3 of our own lock.
    """
    (tmp_path / "server").mkdir()
    (tmp_path / "checkout").mkdir()
    with mlflow_server(mlflow.python, tmp_path / "server") as uri:
        there = trained(older.on(MLFLOW_TRACKING_URI=uri), tmp_path / "checkout")
        second = there["models"][0]

        *_, again, about, made, same, version = ask_each(
            skinny.on(MLFLOW_TRACKING_URI=uri), *released(second, tmp_path)[1:]
        )

    assert [second["model_id"]] == [model["model_id"] for model in again["models"]]
    assert ("digest", True, False) == (about["tags"]["mlflow-uv.model-sha256"], made["created"], same["created"])
    assert (second["model_id"], set()) == (version["model_id"], there["written"])


def test_a_record_that_a_run_does_not_have_is_not_found(older: MlflowInterpreter, tmp_path: Path) -> None:
    """
    A first release asks for one, and goes on.
    """
    require_records(older, tmp_path)


@pytest.mark.extended
def test_it_is_not_found_by_the_oldest_mlflow_either(
    root: Path, mlflow: MlflowInterpreter, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """
    MLflow 2.20 and 2.21 raise an error without a code, as for any other failure of a download.
    """
    require_records(interpreter(root, mlflow, "2.20", tmp_path_factory.mktemp("oldest")), tmp_path)
