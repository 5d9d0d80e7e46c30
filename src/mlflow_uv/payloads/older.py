"""What is a model to an MLflow 2, which knows it only as a folder of its run?"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timezone

from mlflow import MlflowClient
from mlflow.entities import Run
from mlflow.entities.model_registry import ModelVersion
from mlflow.store.artifact.runs_artifact_repo import RunsArtifactRepository

# Such a model is called by the URI that loads it. A newer MLflow, ours for one, understands it too.
SCHEME = "runs:/"
# A model without a place of its own keeps its tags on the run, and the run says which of its models they are about.
PATH_TAG = "mlflow-uv.model-path"
# Where MLflow 2 notes what `log_model` put below a run, as JSON.
_HISTORY = "mlflow.log-model.history"
_BELOW_A_RUN = re.compile(r"(?:.*/)?([0-9a-f]{32})/artifacts/(.+)")


@dataclass(frozen=True, kw_only=True)
class RunModel:
    """A folder of a run, with the attributes that a LoggedModel of MLflow 3 has."""

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
    """Whether the id is a folder of a run, and not of a model that stands by itself."""
    return model_id.startswith(SCHEME)


def of_run(run: Run) -> Iterator[RunModel]:
    """Every model that training logged with a run, oldest first; of two in one folder the second is left."""
    noted = {said["artifact_path"]: said for said in json.loads(run.data.tags.get(_HISTORY, "[]"))}
    for path, said in noted.items():
        made = datetime.fromisoformat(said["utc_time_created"]).replace(tzinfo=timezone.utc)
        yield _model(run, path, created=int(made.timestamp() * 1000))


def get(client: MlflowClient, model_id: str) -> RunModel:
    """The model of that id. Whether its folder holds one is for whoever downloads it to see."""
    run_id, path = RunsArtifactRepository.parse_runs_uri(model_id)
    run = client.get_run(run_id)
    return next((model for model in of_run(run) if model.name == path), None) or _model(
        run, path, created=run.info.start_time
    )


def released(run: Run) -> Iterator[RunModel]:
    """The model that our tags on a run are about, if they are about one."""
    path = run.data.tags.get(PATH_TAG)
    if path is not None:
        yield _model(run, path, created=run.info.start_time)


def tag(client: MlflowClient, model_id: str, tags: "dict[str, str]") -> None:
    """Tag the run in the model's place. One model of a run can be released, because tags are about one."""
    run_id, path = RunsArtifactRepository.parse_runs_uri(model_id)
    for key, value in {**tags, PATH_TAG: path}.items():
        client.set_tag(run_id, key, value)


def log(client: MlflowClient, run: Run, name: str, folder: str) -> str:
    """Log a folder as `log_model` would have, note included; the id of the model."""
    client.log_artifacts(run.info.run_id, folder, name)
    noted = json.loads(run.data.tags.get(_HISTORY, "[]"))
    now = datetime.now(timezone.utc).replace(tzinfo=None)
    noted.append({"run_id": run.info.run_id, "artifact_path": name, "utc_time_created": str(now)})
    client.set_tag(run.info.run_id, _HISTORY, json.dumps(noted))
    return f"{SCHEME}{run.info.run_id}/{name}"


def source_of(model_id: str) -> "tuple[str, str]":
    """The place that a version is made from, and the run."""
    run_id, _ = RunsArtifactRepository.parse_runs_uri(model_id)
    return RunsArtifactRepository.get_underlying_uri(model_id), run_id


def source_model(version: ModelVersion) -> "str | None":
    """The id of the model that a version is made from, if it is a folder of the version's run."""
    found = _BELOW_A_RUN.fullmatch(version.source or "")
    if found is None or found[1] != version.run_id:
        return None
    return f"{SCHEME}{found[1]}/{found[2]}"


def _model(run: Run, path: str, *, created: int) -> RunModel:
    about_this = run.data.tags.get(PATH_TAG) == path
    return RunModel(
        model_id=f"{SCHEME}{run.info.run_id}/{path}",
        name=path,
        source_run_id=run.info.run_id,
        experiment_id=run.info.experiment_id,
        creation_timestamp=created,
        artifact_location=f"{run.info.artifact_uri}/{path}",
        tags=dict(run.data.tags) if about_this else {},
    )
