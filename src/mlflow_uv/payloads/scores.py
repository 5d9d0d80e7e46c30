"""Which evaluations does the store keep, and which of them compare like with like?"""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mlflow import MlflowClient, entities
from mlflow.entities import Metric, Run

from . import models, older, runs
from .stores import experiment_groups, pages, tag_equals

EVALUATION = "mlflow-uv.evaluation"
MODEL = "mlflow-uv.evaluated-model"
MODEL_DIGEST = "mlflow-uv.model-sha256"
DATA_DIGEST = "mlflow-uv.data-sha256"
SETTINGS = "mlflow-uv.evaluation-settings"
ASKED = "mlflow-uv.evaluation-asked"  # when somebody last asked for it: a text that sorts
_PARENT = "mlflow.parentRunId"


def start(request: dict[str, Any]) -> dict[str, Any]:
    """
    Open the run of an evaluation beside the run that made the model, below it where there is one.

    {model_id: null where the version has none, run_id: the same, experiment: name for a model of no run, tags,
    run_name} -> {run_id}
    """
    client = MlflowClient()
    parent = request["run_id"]
    if request["model_id"] is not None:
        model = models.logged_model(client, request["model_id"])
        parent, experiment_id = model.source_run_id or parent, str(model.experiment_id)
    elif parent:
        experiment_id = client.get_run(parent).info.experiment_id
    else:
        experiment_id = runs.experiment_of(client, request["experiment"])
    tags = {**request["tags"], **({_PARENT: parent} if parent else {})}
    return {"run_id": runs.make(client, experiment_id, tags, request["run_name"]).info.run_id}


def fill(request: dict[str, Any]) -> dict[str, Any]:
    """
    Log what was found: {run_id, model_id, metrics, artifacts: null or a folder that need not be there} -> {}.

    The run stays open: it is finished when everything that belongs to it is there.
    """
    client = MlflowClient()
    run_id, model_id = request["run_id"], request["model_id"]
    kept = model_id is not None and models.keeps_models(client) and not older.is_of_run(model_id)
    of_model = {"model_id": model_id} if kept else {}
    now = time.time_ns() // 1_000_000
    found = [Metric(name, value, now, 0, **of_model) for name, value in request["metrics"].items()]
    client.log_batch(run_id, metrics=found)
    if kept:
        client.log_inputs(run_id, models=[entities.LoggedModelInput(model_id)])
    if request["artifacts"] and Path(request["artifacts"]).is_dir():
        client.log_artifacts(run_id, request["artifacts"], "evaluation")
    return {}


def find(request: dict[str, Any]) -> dict[str, Any]:
    """
    Find the evaluation that asked all of these models the same, on the same data, and was asked for last.

    {model_ids, tags?: that each run carries} -> {evaluation, data_sha256, tags: of the first model's run, models:
    {model_id: {run_id, model_sha256, metrics}}}; evaluation is null and models empty where there is none. Only finished
    runs count. One model may be asked for alone; one without an id is called `models:/NAME/VERSION`.
    """
    client = MlflowClient()
    wanted = tuple(dict.fromkeys(request["model_ids"]))
    found: list[dict[tuple[str, ...], Run]] = []
    for name in wanted:
        by_pair: dict[tuple[str, ...], Run] = {}
        for run in _finished(client, {**request.get("tags", {}), MODEL: name}):
            # What is compared belongs to one evaluation, of one file, asked for the same.
            by_pair.setdefault(tuple(run.data.tags.get(tag, "") for tag in (EVALUATION, DATA_DIGEST, SETTINGS)), run)
        found.append(by_pair)
    shared = set.intersection(*map(set, found)) if found else set()
    if not shared:
        return {"evaluation": None, "data_sha256": None, "tags": {}, "models": {}}
    runs_of = {pair: found[0][pair] for pair in shared}
    pair = max(runs_of, key=lambda one: (runs_of[one].data.tags.get(ASKED, ""), runs_of[one].info.end_time or 0, one))
    return {
        "evaluation": pair[0],
        "data_sha256": pair[1],
        "tags": dict(runs_of[pair].data.tags),
        "models": {name: _told(by_pair[pair]) for name, by_pair in zip(wanted, found, strict=True)},
    }


def _finished(client: MlflowClient, tags: dict[str, str]) -> Iterator[Run]:
    """Newest first."""
    clause = " AND ".join(("attributes.status = 'FINISHED'", *(tag_equals(*tag) for tag in tags.items())))
    for group in experiment_groups(client):
        yield from pages(
            lambda token, group=group: client.search_runs(  # type: ignore[misc]  # bound per group
                list(group), clause, order_by=["attributes.start_time DESC"], page_token=token
            )
        )


def _told(run: Run) -> dict[str, Any]:
    digest = run.data.tags.get(MODEL_DIGEST)
    return {"run_id": run.info.run_id, "model_sha256": digest, "metrics": dict(run.data.metrics)}
