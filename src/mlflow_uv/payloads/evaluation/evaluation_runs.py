"""Stores evaluations as runs, and finds the newest one that covers all given models."""

import time
from collections.abc import Iterator
from pathlib import Path

from mlflow import MlflowClient, entities
from mlflow.entities import Metric, Run

from ..messages.evaluation import (
    EvaluatedModel,
    FillEvaluation,
    FindEvaluation,
    FoundEvaluation,
    StartedEvaluation,
    StartEvaluation,
)
from ..messages.request import Done
from ..messages.tags import (
    DATA_DIGEST,
    EVALUATED_MODEL,
    EVALUATION,
    EVALUATION_REQUESTED,
    EVALUATION_SETTINGS,
    MODEL_DIGEST,
)
from ..models import logged_models
from ..runs import runs
from ..stores import mlflow2
from ..stores.searches import experiment_groups, pages, tag_equals, texts

_PARENT = "mlflow.parentRunId"


def start(request: StartEvaluation) -> StartedEvaluation:
    """Create the run of an evaluation, as a child of the run that created the model, if there is one."""
    client = MlflowClient()
    parent = request.run_id
    if request.model_id is not None:
        model = logged_models.logged_model(client, request.model_id)
        parent, experiment_id = model.source_run_id or parent, str(model.experiment_id)
    elif parent:
        experiment_id = client.get_run(parent).info.experiment_id
    else:
        experiment_id = runs.experiment_of(client, request.experiment)
    tags = {**request.tags, **({_PARENT: parent} if parent else {})}
    return StartedEvaluation(run_id=runs.create_run(client, experiment_id, tags, request.run_name).info.run_id)


def fill(request: FillEvaluation) -> Done:
    """Log the results. The run stays open until the caller has added the rest."""
    client = MlflowClient()
    run_id, model_id = request.run_id, request.model_id
    has_logged_model = model_id is not None and logged_models.keeps_models(client) and not mlflow2.is_of_run(model_id)
    of_model = {"model_id": model_id} if has_logged_model else {}
    now = time.time_ns() // 1_000_000
    metrics = [Metric(name, value, now, 0, **of_model) for name, value in request.metrics.items()]
    client.log_batch(run_id, metrics=metrics)
    if has_logged_model:
        client.log_inputs(run_id, models=[entities.LoggedModelInput(model_id)])
    if request.artifacts and Path(request.artifacts).is_dir():
        client.log_artifacts(run_id, request.artifacts, "evaluation")
    return Done()


def find(request: FindEvaluation) -> FoundEvaluation:
    """
    Find the last requested evaluation of all these models with the same settings on the same data.

    Only finished runs count.
    """
    client = MlflowClient()
    model_ids = tuple(dict.fromkeys(request.model_ids))
    runs_by_model: list[dict[tuple[str, ...], Run]] = []
    for name in model_ids:
        by_pair: dict[tuple[str, ...], Run] = {}
        for run in _finished(client, {**request.tags, EVALUATED_MODEL: name}):
            # Comparable runs have the evaluation, the data and the settings in common.
            by_pair.setdefault(
                tuple(run.data.tags.get(tag, "") for tag in (EVALUATION, DATA_DIGEST, EVALUATION_SETTINGS)), run
            )
        runs_by_model.append(by_pair)
    shared = set.intersection(*map(set, runs_by_model)) if runs_by_model else set()
    if not shared:
        return FoundEvaluation()
    runs_of = {pair: runs_by_model[0][pair] for pair in shared}

    def requested(pair: "tuple[str, ...]") -> "tuple[str, int, tuple[str, ...]]":
        run = runs_of[pair]
        return run.data.tags.get(EVALUATION_REQUESTED, ""), run.info.end_time or 0, pair

    pair = max(runs_of, key=requested)
    return FoundEvaluation(
        evaluation=pair[0],
        data_sha256=pair[1],
        tags=texts(runs_of[pair].data.tags),
        models={name: _result(by_pair[pair]) for name, by_pair in zip(model_ids, runs_by_model, strict=True)},
    )


def _finished(client: MlflowClient, tags: dict[str, str]) -> Iterator[Run]:
    """The finished runs with these tags, newest first."""
    clause = " AND ".join(("attributes.status = 'FINISHED'", *(tag_equals(*tag) for tag in tags.items())))
    for group in experiment_groups(client):
        yield from pages(
            lambda token, group=group: client.search_runs(  # type: ignore[misc]  # bound per group
                list(group), clause, order_by=["attributes.start_time DESC"], page_token=token
            )
        )


def _result(run: Run) -> EvaluatedModel:
    digest = run.data.tags.get(MODEL_DIGEST)
    return EvaluatedModel(run_id=run.info.run_id, model_sha256=digest, metrics=dict(run.data.metrics))
