"""Represents models of MLflow 2, which are folders of their runs, like logged models of MLflow 3."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timezone

from mlflow import MlflowClient
from mlflow.entities import Run
from mlflow.entities.model_registry import ModelVersion
from mlflow.store.artifact.runs_artifact_repo import RunsArtifactRepository

from ..messages.tags import MODEL_PATH

# The id of such a model is the URI that loads it, which newer versions of MLflow support, too.
SCHEME = "runs:/"
# In this tag MLflow 2 records what `log_model` logged with a run, as JSON.
_HISTORY = "mlflow.log-model.history"
_BELOW_A_RUN = re.compile(r"(?:.*/)?([0-9a-f]{32})/artifacts/(.+)")


@dataclass(frozen=True, kw_only=True)
class RunModel:
    """A folder of a run, with the attributes of MLflow 3's LoggedModel."""

    model_id: str
    name: str
    source_run_id: str
    experiment_id: str
    creation_timestamp: int
    artifact_location: str
    tags: "dict[str, str]"
    status: str = "READY"
    status_message: "str | None" = None


def is_of_run(model_id: str) -> bool:
    """Whether the id is a folder of a run, not a logged model."""
    return model_id.startswith(SCHEME)


def uri_of(model_id: str) -> str:
    """The address by which MLflow loads a logged model, or the folder of a run."""
    return model_id if is_of_run(model_id) else f"models:/{model_id}"


def of_run(run: Run) -> Iterator[RunModel]:
    """Every model that was logged with a run, oldest first; of two in one folder the second."""
    by_path = {entry["artifact_path"]: entry for entry in json.loads(run.data.tags.get(_HISTORY, "[]"))}
    for path, entry in by_path.items():
        created = datetime.fromisoformat(entry["utc_time_created"]).replace(tzinfo=timezone.utc)
        yield _model(run, path, created=int(created.timestamp() * 1000))


def get(client: MlflowClient, model_id: str) -> RunModel:
    """The model of that id; whether its folder contains one is checked on download."""
    run_id, path = RunsArtifactRepository.parse_runs_uri(model_id)
    run = client.get_run(run_id)
    return next((model for model in of_run(run) if model.name == path), None) or _model(
        run, path, created=run.info.start_time
    )


def released(run: Run) -> Iterator[RunModel]:
    """The model that the release's tags on a run belong to, if any."""
    path = run.data.tags.get(MODEL_PATH)
    if path is not None:
        yield _model(run, path, created=run.info.start_time)


def tag(client: MlflowClient, model_id: str, tags: "dict[str, str]") -> None:
    """Tag the run in place of the model, so only one model of a run can be released."""
    run_id, path = RunsArtifactRepository.parse_runs_uri(model_id)
    for key, value in {**tags, MODEL_PATH: path}.items():
        client.set_tag(run_id, key, value)


def log(client: MlflowClient, run: Run, name: str, folder: str) -> str:
    """Log a folder as `log_model` does, with its history tag; the id of the model."""
    client.log_artifacts(run.info.run_id, folder, name)
    history = json.loads(run.data.tags.get(_HISTORY, "[]"))
    now = datetime.now(timezone.utc).replace(tzinfo=None)
    history.append({"run_id": run.info.run_id, "artifact_path": name, "utc_time_created": str(now)})
    client.set_tag(run.info.run_id, _HISTORY, json.dumps(history))
    return f"{SCHEME}{run.info.run_id}/{name}"


def source_of(model_id: str) -> "tuple[str, str]":
    """The source for a version, and the run id."""
    run_id, _ = RunsArtifactRepository.parse_runs_uri(model_id)
    return RunsArtifactRepository.get_underlying_uri(model_id), run_id


def source_model(version: ModelVersion) -> "str | None":
    """The id of the model that a version was created from, if it is a folder of the version's run."""
    match = _BELOW_A_RUN.fullmatch(version.source or "")
    if match is None or match[1] != version.run_id:
        return None
    return f"{SCHEME}{match[1]}/{match[2]}"


def _model(run: Run, path: str, *, created: int) -> RunModel:
    about_this = run.data.tags.get(MODEL_PATH) == path
    return RunModel(
        model_id=f"{SCHEME}{run.info.run_id}/{path}",
        name=path,
        source_run_id=run.info.run_id,
        experiment_id=run.info.experiment_id,
        creation_timestamp=created,
        artifact_location=f"{run.info.artifact_uri}/{path}",
        tags=dict(run.data.tags) if about_this else {},
    )
