"""Trains the commit of a version again with `mlflow run`, and compares the predictions of the new model."""

from dataclasses import replace
from pathlib import Path

from ...command.errors import ToolFailed
from ...core.release.record import Record
from ...core.verify.results import Verdict, WayResult
from ...tools.mlflow.store import Store
from ...tools.mlflow.store_client import StoreClient
from ...tools.project.files import Project, read_project
from ..model.choice import choose
from ..model.source import ModelSource, ModelSourceKind
from ..model.training import Job, train
from .comparison import Verification, load_and_compare

ENTRY_POINT = "main"
_MLPROJECT = "MLproject"


def run_project(way: str, verification: Verification) -> WayResult:
    """
    Run the entry point `main` of the commit, with the defaults of its parameters, in a copy and with its own store.

    The environment is restored by uv from the lock of the commit. The model is another one than the version: its
    predictions are equal within the recorded tolerance if training is deterministic. Raises StepError.
    """
    source = _source(verification)
    if isinstance(source, str):
        return WayResult(way=way, verdict=Verdict.UNAVAILABLE, why=source)
    project, record = source
    tools = verification.registry.tools
    python = tools.uv.sync(
        project, record.selection, verification.scratch / "project-environment", on_line=tools.console.foreign
    )
    job = Job(
        project=project,
        source=ModelSource(kind=ModelSourceKind.ENTRY_POINT, words=(ENTRY_POINT,)),
        mlflow=tools.mlflow,
        python=python,
        store=_store(verification),
        experiment=project.name,
        commit=record.commit,
        lock=record.lock,
        local=(),
        respect_env=False,
        hidden=verification.expected.serve_env.secrets,
        timeout_s=verification.expected.deadline_s,
    )
    trained = train(job, record.model.name, tools)
    logged = choose(trained.found, record.model.name, tools.console)
    client = StoreClient(mlflow=tools.mlflow, python=python, store=trained.store)
    model = verification.scratch / "project-model"
    client.download_model(logged.model_id, model)
    result = load_and_compare(way, client, model, verification)
    if result.verdict is not Verdict.DIFFERENT:
        return result
    why = f"the model that `mlflow run` trained again predicts otherwise: {result.why}"
    return replace(result, why=why, fix="seed the random numbers of the training, so that it can be repeated")


def _source(verification: Verification) -> tuple[Project, Record] | str:
    """Return a copy of the project at the commit of the version and the record, or why there is none."""
    here, record = verification.registry.project, verification.record
    if here is None:
        return "there is no project in this folder to run"
    if record is None:
        return "the version has no release record, which names its commit"
    if record.commit.dirty:
        return "it was trained with changes that are in no commit"
    copy, archive = verification.scratch / "project", verification.scratch / "project.tar"
    if not verification.registry.tools.git.export(here.folder, record.commit.sha, archive):
        return f"git does not have the commit {record.commit.sha[:12]} of the version here"
    _extract(archive, copy)
    folder = copy / record.commit.project
    if not folder.resolve().is_relative_to(copy.resolve()):
        return f"its record names the folder `{record.commit.project}`, which is outside of the commit"
    if not (folder / _MLPROJECT).is_file():
        return f"the project has no {_MLPROJECT} file at the commit of the version"
    return read_project(folder), record


def _extract(archive: Path, folder: Path) -> None:
    """Extract an archive of git. Raises ToolFailed for files and links that would be outside of the folder."""
    from tarfile import TarError  # noqa: PLC0415

    from ...tools.system.archives import extract  # noqa: PLC0415

    try:
        extract(archive, folder)
    except (TarError, OSError) as error:
        raise ToolFailed(what="the files of the version's commit cannot be extracted", why=str(error)) from error


def _store(verification: Verification) -> Store:
    """A store and registry for this run alone."""
    uri = f"sqlite:///{verification.scratch / 'project.db'}"
    store = verification.registry.tools.mlflow.store(uri, embedded=False)
    return replace(store, variables={**store.variables, "MLFLOW_REGISTRY_URI": uri})
