"""Creates, describes and ends runs in the tracking store, and keeps files with them."""

import os
import shutil
import tempfile
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path, PurePosixPath
from urllib.parse import urlsplit

import mlflow
import yaml
from mlflow import MlflowClient
from mlflow.artifacts import download_artifacts
from mlflow.entities import Param, Run, RunTag
from mlflow.exceptions import MlflowException

from ..messages import runs as messages
from ..messages.request import Done
from ..messages.runs import CreatedRun, RunDataset, RunDescription
from ..problems import Problem, ProblemKind, kind_of, mask
from ..stores import repositories
from ..stores.retries import create_once
from ..stores.searches import tag_equals, texts

# Older versions ignore _MLFLOW_SERVER_ARTIFACT_ROOT outside of a server, and put the artifacts of a new experiment into
# `mlruns` of the current directory.
_RESPECTS_ARTIFACT_ROOT = (3, 10)
_CONTEXT = "mlflow.data.context"  # the tag of the purpose of a dataset


def create(request: messages.CreateRun) -> CreatedRun:
    """Create a run in the experiment of that name, which is created if needed, or in that of another run."""
    client = MlflowClient()
    if request.beside is None:
        experiment_id = experiment_of(client, request.experiment, request.artifact_location)
    else:
        experiment_id = client.get_run(request.beside).info.experiment_id
    run = create_run(client, experiment_id, request.tags, request.run_name)
    return CreatedRun(run_id=run.info.run_id, experiment_id=experiment_id)


def prepare_experiment(request: messages.PrepareExperiment) -> Done:
    """Ensure that the experiment of that name has an allowed artifact location."""
    name, location = request.experiment, request.artifact_location
    if location is None:
        _require_location(MlflowClient(), name)
    elif tuple(map(int, mlflow.__version__.split(".")[:2])) < _RESPECTS_ARTIFACT_ROOT:
        experiment_of(MlflowClient(), name, location)
    return Done()


def _require_location(client: MlflowClient, name: str) -> None:
    """Raise Problem before training if the location is not allowed; a new experiment is then renamed and deleted."""
    if not urlsplit(os.environ.get("MLFLOW_TRACKING_URI", "")).scheme.startswith("http"):
        return  # Databricks has other names and its own locations
    created = _created(client, name) if client.get_experiment_by_name(name) is None else None
    try:
        experiment_id = created or experiment_of(client, name)
    except Problem as error:
        if error.kind is ProblemKind.DENIED:
            return  # training may use another experiment; its model is checked afterwards
        raise
    try:
        repositories.require(client.get_experiment(experiment_id).artifact_location, whose=f"experiment `{name}`")
    except Problem:
        if created is not None:
            with suppress(MlflowException):
                client.rename_experiment(created, f"{name}-{created}-not-used")
                client.delete_experiment(created)
        raise


def _created(client: MlflowClient, name: str) -> "str | None":
    try:
        return str(client.create_experiment(name))
    except MlflowException:  # it exists by now, or creating is not allowed: experiment_of finds out
        return None


def log_entry_point(request: messages.LogEntryPoint) -> Done:
    """Log an entry point and its parameters; `mlflow run` does so only for runs that it creates itself."""
    tags = {"mlflow.source.type": "PROJECT", "mlflow.project.entryPoint": request.entry_point}
    parameters = {**_defaults(request), **request.parameters}
    MlflowClient().log_batch(
        request.run_id,
        tags=[RunTag(key, value) for key, value in tags.items()],
        params=[Param(key, value) for key, value in parameters.items()],
    )
    return Done()


def _defaults(request: messages.LogEntryPoint) -> "dict[str, str]":
    """The defaults that the file declares; none where it has another shape, which `mlflow run` reports."""
    try:
        project = yaml.safe_load(Path(request.folder, "MLproject").read_text(encoding="utf-8"))
        declared = project["entry_points"][request.entry_point]["parameters"]
        return texts({name: entry["default"] for name, entry in declared.items() if "default" in entry})
    except (OSError, ValueError, yaml.YAMLError, LookupError, TypeError, AttributeError):
        return {}


def end(request: messages.EndRun) -> Done:
    """End a run."""
    MlflowClient().set_terminated(request.run_id, status=request.status)
    return Done()


def describe(request: messages.DescribeRun) -> RunDescription:
    """Describe a run in the store."""
    run = MlflowClient().get_run(request.run_id)
    return replace(summary(run), params=texts(run.data.params), datasets=_datasets(run))


def _datasets(run: Run) -> "tuple[RunDataset, ...]":
    """The datasets that were logged as inputs of a run, in a stable order; an MLflow without them has none."""
    logged = getattr(getattr(run, "inputs", None), "dataset_inputs", None) or ()
    datasets = [
        RunDataset(
            name=mask(entry.dataset.name or ""),
            digest=entry.dataset.digest or "",
            context=next((tag.value for tag in entry.tags or () if tag.key == _CONTEXT), ""),
            source_type=entry.dataset.source_type or "",
            source=mask(entry.dataset.source or ""),
        )
        for entry in logged
    ]
    return tuple(sorted(datasets, key=lambda dataset: (dataset.context, dataset.name, dataset.digest, dataset.source)))


def log_record(request: messages.LogRecord) -> Done:
    """Log a file as an artifact of a run."""
    target = PurePosixPath(request.path)
    folder = None if target.parent == PurePosixPath() else target.parent.as_posix()
    with tempfile.TemporaryDirectory() as scratch:
        copy = shutil.copyfile(request.file, Path(scratch, target.name))
        MlflowClient().log_artifact(request.run_id, str(copy), artifact_path=folder)
    return Done()


def download_record(request: messages.DownloadRecord) -> Done:
    """Download an artifact of a run to a file."""
    destination = Path(request.destination)
    with tempfile.TemporaryDirectory() as scratch:
        try:
            downloaded = download_artifacts(run_id=request.run_id, artifact_path=request.path, dst_path=scratch)
        except (OSError, MlflowException) as error:
            # MLflow 2.21 and older report a missing file like any other failure of a download.
            listed = isinstance(error, MlflowException) and _is_listed(request)
            if listed or kind_of(error) is not ProblemKind.UNEXPECTED:
                raise
            raise Problem(ProblemKind.NOT_FOUND, f"run {request.run_id} has no artifact `{request.path}`") from error
        shutil.copyfile(downloaded, destination)
    return Done()


def _is_listed(request: messages.DownloadRecord) -> bool:
    folder = PurePosixPath(request.path).parent.as_posix()
    return any(entry.path == request.path for entry in MlflowClient().list_artifacts(request.run_id, folder))


def create_run(client: MlflowClient, experiment_id: str, tags: "Mapping[str, str]", run_name: "str | None") -> Run:
    """Create a run exactly once."""
    started = time.time_ns() // 1_000_000
    clause = " AND ".join((f"attributes.start_time = {started}", *(tag_equals(*tag) for tag in tags.items())))
    return create_once(
        lambda: client.create_run(experiment_id, start_time=started, tags=tags, run_name=run_name),
        find=lambda: next(iter(client.search_runs([experiment_id], clause)), None),
    )


def summary(run: Run) -> RunDescription:
    """The description of a run that every verb returns, without its parameters."""
    return RunDescription(
        run_id=run.info.run_id,
        experiment_id=str(run.info.experiment_id),
        name=run.info.run_name,
        status=str(run.info.status),
        started=run.info.start_time,
        ended=run.info.end_time,
        artifact_location=mask(run.info.artifact_uri or ""),
        tags=texts(run.data.tags),
        metrics=dict(run.data.metrics),
    )


def experiment_of(client: MlflowClient, name: str, artifact_location: "str | None" = None) -> str:
    """The id of the experiment, created if needed; of two jobs that create it at once, the second uses the first's."""
    experiment = client.get_experiment_by_name(name)
    if experiment is None:
        try:
            return str(client.create_experiment(name, artifact_location=artifact_location))
        except MlflowException as error:
            experiment = client.get_experiment_by_name(name)
            if experiment is None:
                raise Problem(kind_of(error), f"experiment `{name}` cannot be created: {error.message}") from error
    if experiment.lifecycle_stage != "active":
        raise Problem(ProblemKind.INVALID, f"experiment `{name}` is deleted; restore it or choose another name")
    return str(experiment.experiment_id)
