"""Logs, downloads and overwrites the files of a model in the artifact store."""

import shutil
import tempfile
from pathlib import Path, PurePosixPath
from typing import Any

import yaml
from mlflow import MlflowClient, entities
from mlflow.artifacts import download_artifacts
from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

from ..messages.models import DownloadModel, LogFolder, LoggedModelId, OverwriteModel
from ..messages.request import Done
from ..problems import Problem, ProblemKind, mask
from ..stores import mlflow2
from ..stores.retries import create_once
from ..stores.searches import equals
from .logged_models import keeps_models, logged_model

MLMODEL = "MLmodel"
# MLflow writes it into every download of a model; it is not one of the model's files.
ADDED_ON_DOWNLOAD = "registered_model_meta"


def log(request: LogFolder) -> LoggedModelId:
    """Log a folder that `save_model` wrote as a model of a run, as `log_model` does."""
    folder = Path(request.folder)
    if not (folder / MLMODEL).is_file():
        raise Problem(ProblemKind.INVALID, f"`{folder.name}` is not an MLflow model: it has no {MLMODEL} file")
    client = MlflowClient()
    run = client.get_run(request.run_id)
    if not keeps_models(client):
        with tempfile.TemporaryDirectory() as scratch:
            copy = _copied(folder, Path(scratch, "model"))
            _rename(copy / MLMODEL, run_id=run.info.run_id, artifact_path=request.name)
            return LoggedModelId(model_id=mlflow2.log(client, run, request.name, str(copy)))
    run_id, experiment_id = run.info.run_id, run.info.experiment_id
    of_this_run = equals("source_run_id", run_id)
    model = create_once(
        lambda: client.create_logged_model(
            experiment_id,
            name=request.name,
            source_run_id=run_id,
            tags=request.tags,
            params=dict(run.data.params),
        ),
        find=lambda: next(iter(client.search_logged_models([experiment_id], filter_string=of_this_run)), None),
    )
    try:
        with tempfile.TemporaryDirectory() as scratch:
            copy = _copied(folder, Path(scratch, "model"))
            identity = {"model_id": model.model_id, "model_uuid": model.model_id, "run_id": run_id}
            _rename(copy / MLMODEL, artifact_path=model.artifact_location, **identity)
            client.log_model_artifacts(model.model_id, str(copy))
        create_once(
            lambda: client.log_outputs(run_id, [entities.LoggedModelOutput(model.model_id, step=0)]),
            find=lambda: client.get_run(run_id).outputs.model_outputs or None,
        )
    except BaseException:
        client.finalize_logged_model(model.model_id, entities.LoggedModelStatus.FAILED)
        raise
    client.finalize_logged_model(model.model_id, entities.LoggedModelStatus.READY)
    return LoggedModelId(model_id=model.model_id)


def download(request: DownloadModel) -> Done:
    """Download a model's files from the store into a folder that is empty or absent."""
    uri = request.uri if request.model_id is None else mlflow2.uri_of(request.model_id)
    if uri is None:
        raise Problem(ProblemKind.INVALID, "the request lacks `model_id` or `uri`")
    destination = Path(request.destination)
    if destination.exists() and any(destination.iterdir()):
        raise Problem(ProblemKind.INVALID, f"`{destination.name}` is not empty")
    destination.parent.mkdir(parents=True, exist_ok=True)
    # MLflow may create a subfolder named after the path in the store: the folder that it returns is copied.
    with tempfile.TemporaryDirectory(dir=destination.parent) as scratch:
        downloaded = _some(uri, request.files, scratch) if request.files else _all(uri, scratch)
        if not (downloaded / MLMODEL).is_file():
            raise Problem(ProblemKind.NOT_FOUND, f"`{mask(uri)}` has no {MLMODEL} file")
        (downloaded / ADDED_ON_DOWNLOAD).unlink(missing_ok=True)
        shutil.copytree(downloaded, destination, dirs_exist_ok=True)
    return Done()


def _all(uri: str, folder: str) -> Path:
    return Path(download_artifacts(artifact_uri=uri, dst_path=folder))


def _some(uri: str, files: "tuple[str, ...]", folder: str) -> Path:
    repository = get_artifact_repository(uri)
    folders = {PurePosixPath(file).parent.as_posix() for file in files}
    there = {item.path for path in folders for item in repository.list_artifacts(None if path == "." else path)}
    for file in filter(there.__contains__, files):
        repository.download_artifacts(file, dst_path=folder)
    return Path(folder)


def overwrite(request: OverwriteModel) -> Done:
    """Overwrite files of a model in the store, delete others, and verify that they are deleted."""
    model_id = logged_model(MlflowClient(), request.model_id).model_id
    repository = get_artifact_repository(mlflow2.uri_of(model_id)).repo
    repository.log_artifacts(request.folder)
    for path in request.delete:
        if path in _listed(repository, path):
            _delete(repository, path)
    remaining = [path for path in request.delete if path in _listed(repository, path)]
    if remaining:
        raise Problem(
            ProblemKind.UNEXPECTED, f"the artifact store still has files that were deleted from {model_id}: {remaining}"
        )
    return Done()


def _copied(folder: Path, destination: Path) -> Path:
    return Path(shutil.copytree(folder, destination, ignore=shutil.ignore_patterns("__pycache__")))


def _delete(repository: Any, path: str) -> None:
    try:
        repository.delete_artifacts(path)
    except NotImplementedError as error:
        raise Problem(
            ProblemKind.INVALID, f"{type(repository).__name__} cannot delete `{path}` from a model"
        ) from error


def _listed(repository: Any, path: str) -> set[str]:
    parent = PurePosixPath(path).parent
    folder = None if parent == PurePosixPath() else parent.as_posix()
    return {str(entry.path) for entry in repository.list_artifacts(folder)}


def _rename(mlmodel: Path, **identity: str) -> None:
    """Replace identity fields of an MLmodel file."""
    content = yaml.safe_load(mlmodel.read_text(encoding="utf-8"))
    content.update(identity)
    mlmodel.write_text(yaml.safe_dump(content, default_flow_style=False, allow_unicode=True), encoding="utf-8")
