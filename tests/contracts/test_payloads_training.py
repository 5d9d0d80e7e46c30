"""Contract: what MLflow does with the variables a training runs under, and where its traces are found afterwards."""

import json
import sqlite3
import textwrap
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.contracts.mlflow_interpreter import MlflowInterpreter

KEY = "ways-of-training"
# Every way in which training code makes a model, in one process to import mlflow once. What differs is where the run
# and the experiment come from.
WAYS = textwrap.dedent("""
    import mlflow
    from mlflow.pyfunc import PythonModel
    from sklearn.linear_model import LogisticRegression

    class Echo(PythonModel):
        def predict(self, model_input, params=None):
            return model_input

    def log(name, **options):
        return mlflow.pyfunc.log_model(name=name, python_model=Echo(), pip_requirements=["mlflow"], **options)

    with mlflow.start_run():
        log("default-experiment")
    mlflow.set_experiment("chosen by the code")
    with mlflow.start_run(tags={"its": "own"}):
        log("own-experiment")
    log("no-run")
    with mlflow.start_run():
        log("registers-itself", registered_model_name="by-itself")
    client = mlflow.MlflowClient()
    fitted = LogisticRegression().fit([[0], [1]], [0, 1])
    run_id = client.create_run(client.create_experiment("by client")).info.run_id
    mlflow.sklearn.log_model(fitted, name="by-client", run_id=run_id, pip_requirements=["mlflow"])
    mlflow.sklearn.autolog()
    fitted.fit([[0], [1]], [0, 1])
""")


@pytest.fixture(scope="session")
def ways(local_store: MlflowInterpreter, wine_project: Path) -> dict[str, Any]:
    """What is found after all of them ran next to a pyproject.toml and a uv.lock."""
    before = {path.name for path in wine_project.iterdir()}
    (wine_project / "ways.py").write_text(WAYS)
    trained = local_store.run(
        "ways.py",
        cwd=wine_project,
        MLFLOW_RUN_CONTEXT=json.dumps({"mlflow-uv.release-key": KEY}),
        MLFLOW_LOG_UV_FILES="false",
    )
    (wine_project / "ways.py").unlink()
    assert trained.returncode == 0, trained.stderr
    found = local_store.ask("find-models", tag=["mlflow-uv.release-key", KEY])
    return {**found, "written": {path.name for path in wine_project.iterdir()} - before}


def test_every_way_of_logging_carries_the_tags_of_the_run_context(ways: dict[str, Any]) -> None:
    """
    MLFLOW_RUN_CONTEXT tags every model, with and without a run, also after set_experiment and under autolog.
    """
    tagged = {model["name"] for model in ways["models"] if model["tags"].get("mlflow-uv.release-key") == KEY}

    assert {"default-experiment", "own-experiment", "no-run", "registers-itself", "by-client", "model"} == tagged


def test_a_run_made_by_the_client_is_found_through_its_model(ways: dict[str, Any]) -> None:
    """
    Fluent runs are tagged; a run made with MlflowClient.create_run is not, and is found as its model's source.
    """
    runs = {run["run_id"]: "mlflow-uv.release-key" in run["tags"] for run in ways["runs"]}
    of_models = {model["name"]: runs.get(model["run_id"]) for model in ways["models"]}

    assert {
        "default-experiment": True,
        "own-experiment": True,
        "no-run": None,
        "registers-itself": True,
        "by-client": False,
        "model": True,
    } == of_models


def test_what_registered_itself_is_found_with_its_source(ways: dict[str, Any]) -> None:
    """
    A version made by registered_model_name= is found, and its model is known although the store does not say it.
    """
    models = {model["name"]: model["model_id"] for model in ways["models"]}

    assert [("by-itself", "1", models["registers-itself"])] == [
        (version["name"], version["version"], version["model_id"]) for version in ways["versions"]
    ]


@pytest.mark.extended
def test_artifacts_lie_where_the_variable_says_and_nothing_in_the_checkout(
    local_store: MlflowInterpreter, ways: dict[str, Any]
) -> None:
    """
    _MLFLOW_SERVER_ARTIFACT_ROOT is obeyed by a SQLite store too, also for experiments that the code makes itself.
    """
    wanted = Path(local_store.variables["_MLFLOW_SERVER_ARTIFACT_ROOT"])

    assert set() == ways["written"]
    assert all(Path(model["artifact_location"]).is_relative_to(wanted) for model in ways["models"])


def test_no_lock_lies_at_the_root_of_a_model(ways: dict[str, Any]) -> None:
    """
    With MLFLOW_LOG_UV_FILES=false a pyfunc model trained next to a uv.lock holds neither it nor pyproject.toml.
    """
    model = next(model for model in ways["models"] if model["name"] == "own-experiment")

    files = {path.name for path in Path(model["artifact_location"]).iterdir()}

    assert "MLmodel" in files
    assert set() == files & {"uv.lock", "pyproject.toml", ".python-version"}


def test_mlflow_run_uses_the_run_we_made(local_store: MlflowInterpreter, tmp_path: Path) -> None:
    """
    `mlflow run --run-id` fills our run, although the code starts its own; we log what it logs for a run of its own.
    """
    (tmp_path / "MLproject").write_text(
        "name: p\nentry_points:\n  main:\n    parameters: {alpha: float, beta: {default: 2}, gamma: {default: 3}}\n"
        "    command: python train.py\n"
    )
    (tmp_path / "train.py").write_text("import mlflow\nwith mlflow.start_run():\n    mlflow.log_metric('m', 4)\n")
    given = {"alpha": "0.5", "gamma": "4", "other": "x"}
    flags = [word for name, value in given.items() for word in ("-P", f"{name}={value}")]
    command = ("-m", "mlflow", "run", ".", "-e", "main", "--env-manager", "local", *flags)
    path = f"{local_store.python.parent}:/usr/bin:/bin"
    run_id = local_store.ask("create-run", experiment="project", tags={})["run_id"]
    local_store.ask("log-entry-point", run_id=run_id, folder=str(tmp_path), entry_point="main", parameters=given)

    ran = local_store.run(*command, "--run-id", run_id, cwd=tmp_path, PATH=path)
    run = local_store.ask("describe-run", run_id=run_id)
    alone = local_store.run(*command, "--experiment-name", "alone", cwd=tmp_path, PATH=path)
    database = local_store.variables["MLFLOW_TRACKING_URI"].removeprefix("sqlite:///")
    with closing(sqlite3.connect(database)) as connection:
        query = (
            "SELECT p.key, p.value FROM params p JOIN runs r USING (run_uuid) JOIN experiments USING (experiment_id)"
        )
        logged_by_mlflow = dict(connection.execute(f"{query} WHERE experiments.name = 'alone'"))

    assert (0, 0) == (ran.returncode, alone.returncode), ran.stderr + alone.stderr
    assert ("FINISHED", {"m": 4.0}) == (run["status"], run["metrics"])
    assert {"alpha": "0.5", "beta": "2", "gamma": "4", "other": "x"} == run["params"] == logged_by_mlflow
    assert ("PROJECT", "main") == (run["tags"]["mlflow.source.type"], run["tags"]["mlflow.project.entryPoint"])


@pytest.mark.extended
def test_a_version_that_stays_pending_is_a_timeout(local_store: MlflowInterpreter, ways: dict[str, Any]) -> None:
    """
    A version that does not become ready in time is an error of its own, and is not made a second time.
    """
    version = ways["versions"][0]
    database = local_store.variables["MLFLOW_TRACKING_URI"].removeprefix("sqlite:///")
    request = {
        "name": version["name"],
        "model_id": version["model_id"],
        "model_sha256": "of the model",
        "tags": {},
        "description": "",
        "timeout_s": 0.1,
    }

    set_status(database, version["name"], "PENDING_REGISTRATION")
    refused = local_store.refuse("find-or-create-version", **request)
    set_status(database, version["name"], "READY")
    adopted = local_store.ask("find-or-create-version", **request)

    assert "timeout" == refused["kind"]
    assert ("1", False, []) == (adopted["version"], adopted["created"], adopted["also"])


def set_status(database: str, name: str, status: str) -> None:
    connection = sqlite3.connect(database)
    try:
        with connection:
            connection.execute("update model_versions set status = ? where name = ?", (status, name))
    finally:
        connection.close()
