"""Finds the logged models of a training, with their runs and registered versions."""

from collections.abc import Iterable, Iterator

from mlflow import MlflowClient
from mlflow.entities import Run
from mlflow.exceptions import MlflowException

from ..messages.models import (
    DescribeModel,
    FindLatest,
    FindModels,
    FindReleased,
    FoundModels,
    LatestModel,
    LoggedModelDescription,
    ReleasedModels,
)
from ..messages.tags import MODEL_DIGEST, PROJECT, RELEASE_KEY
from ..problems import Problem, ProblemKind, kind_of, mask
from ..registry import versions
from ..runs import runs
from ..stores import mlflow2
from ..stores.searches import LoggedModel, equals, experiment_groups, pages, tag_equals, texts


def find(request: FindModels) -> FoundModels:
    """
    Find every run with the tag, every model with the tag or of those runs, and every version of those models.

    Runs without the tag that created a model with it come last. For a run without models, those of its child runs are
    found.
    """
    client = MlflowClient()
    tagged_runs = () if request.model_id is not None else tuple(_runs(client, request))
    found_models = _models(client, request, tagged_runs)
    if request.run_id is not None and not found_models:
        tagged_runs += tuple(_children(client, tagged_runs[0]))
        found_models = _models(client, request, tagged_runs)
    # A run created with `MlflowClient.create_run`, or by `mlflow run` without a run id, gets no tags from the
    # environment, but its models do.
    known = {run.info.run_id for run in tagged_runs}
    others = sorted({str(model.source_run_id) for model in found_models if model.source_run_id} - known)
    found_runs = (*tagged_runs, *map(client.get_run, others))
    found_versions = versions.made_from(client, found_runs, found_models)
    return FoundModels(
        runs=tuple(map(runs.summary, found_runs)),
        models=tuple(map(summary, found_models)),
        versions=tuple(map(versions.summary, found_versions)),
    )


def find_released(request: FindReleased) -> ReleasedModels:
    """Find the ready models of earlier releases with the same key that have the digest tag of a release."""
    return ReleasedModels(models=_released(RELEASE_KEY, request.release_key))


def find_latest(request: FindLatest) -> LatestModel:
    """Find the newest finished model of a project's releases."""
    return LatestModel(model=next(reversed(_released(PROJECT, request.project)), None))


def _released(tag: str, value: str) -> tuple[LoggedModelDescription, ...]:
    client = MlflowClient()
    tagged = list(_search(client, experiment_groups(client), tag_equals(tag, value)))
    tagged += [model for run in _runs(client, FindModels(tag=(tag, value))) for model in mlflow2.released(run)]
    finished = [model for model in tagged if str(model.status) == "READY" and MODEL_DIGEST in model.tags]
    return tuple(map(summary, sorted(finished, key=_age)))


def describe(request: DescribeModel) -> LoggedModelDescription:
    """Describe a model in the store."""
    return summary(logged_model(MlflowClient(), request.model_id))


def logged_model(client: MlflowClient, model_id: str) -> LoggedModel:
    """The logged model. Raises Problem with an MLflow that has none."""
    if mlflow2.is_of_run(model_id):
        return mlflow2.get(client, model_id)
    if not keeps_models(client):
        raise Problem(ProblemKind.INVALID, "logged models need MLflow 3 or newer")
    return client.get_logged_model(model_id)


def keeps_models(client: MlflowClient) -> bool:
    """Whether this MLflow has logged models, as MLflow 3 and newer do."""
    return hasattr(client, "get_logged_model")


def summary(model: LoggedModel) -> LoggedModelDescription:
    """The description of a model that every verb returns."""
    return LoggedModelDescription(
        model_id=str(model.model_id),
        name=str(model.name),
        run_id=model.source_run_id or None,
        experiment_id=str(model.experiment_id),
        status=str(model.status),
        message=model.status_message or None,
        created=int(model.creation_timestamp),
        artifact_location=mask(model.artifact_location),
        tags=texts(model.tags),
    )


def _runs(client: MlflowClient, request: FindModels) -> Iterator[Run]:
    if request.run_id is not None:
        yield client.get_run(request.run_id)
        return
    clause = tag_equals(*_tag_of(request))
    for group in experiment_groups(client):
        yield from pages(
            lambda token, group=group: client.search_runs(  # type: ignore[misc]  # bound per group
                list(group), clause, order_by=["attributes.start_time ASC"], page_token=token
            )
        )


def _tag_of(request: FindModels) -> tuple[str, str]:
    if request.tag is None:
        raise Problem(ProblemKind.INVALID, "the request lacks `tag`, `run_id` or `model_id`")
    return request.tag


def _children(client: MlflowClient, parent: Run) -> Iterator[Run]:
    """The child runs of a run, recursively; they are in the same experiment."""
    clause = tag_equals("mlflow.parentRunId", parent.info.run_id)
    for run in pages(
        lambda token: client.search_runs(
            [parent.info.experiment_id], clause, order_by=["attributes.start_time ASC"], page_token=token
        )
    ):
        yield run
        yield from _children(client, run)


def _models(client: MlflowClient, request: FindModels, found_runs: Iterable[Run]) -> tuple[LoggedModel, ...]:
    """Models by tag, by source run, and by the outputs that runs recorded."""
    if request.model_id is not None:
        return (logged_model(client, request.model_id),)
    by_id: dict[str, LoggedModel] = {}
    if request.tag is not None:
        by_id.update((m.model_id, m) for m in _search(client, experiment_groups(client), tag_equals(*request.tag)))
    for run in found_runs:
        if not keeps_models(client):
            by_id.update((m.model_id, m) for m in mlflow2.of_run(run))
            continue
        own = ((str(run.info.experiment_id),),)
        by_id.update((m.model_id, m) for m in _search(client, own, equals("source_run_id", run.info.run_id)))
        for output in getattr(getattr(run, "outputs", None), "model_outputs", None) or ():
            if output.model_id not in by_id and (model := _existing(client, output.model_id)) is not None:
                by_id[output.model_id] = model
    return tuple(sorted(by_id.values(), key=_age))


def _existing(client: MlflowClient, model_id: str) -> LoggedModel | None:
    """A model that a run recorded; None for one that was deleted, which the run still names."""
    try:
        return logged_model(client, model_id)
    except MlflowException as error:
        if kind_of(error) is not ProblemKind.NOT_FOUND:
            raise
        return None


def _search(client: MlflowClient, groups: Iterable[tuple[str, ...]], clause: str) -> Iterator[LoggedModel]:
    if not keeps_models(client):
        return
    for group in groups:
        yield from pages(
            lambda token, group=group: client.search_logged_models(  # type: ignore[misc]  # bound per group
                list(group), filter_string=clause, page_token=token
            )
        )


def _age(model: LoggedModel) -> tuple[int, str]:
    return int(model.creation_timestamp), str(model.model_id)
