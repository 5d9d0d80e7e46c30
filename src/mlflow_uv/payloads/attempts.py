"""Ends the runs and finalizes the models that a training left open."""

from typing import Any

from mlflow import MlflowClient

from . import models


def close(request: dict[str, Any]) -> dict[str, Any]:
    """
    End every open run and finalize every pending model of a training.

    {tag: [key, value], status: FINISHED|FAILED|KILLED} -> {runs, models}: the ids of what was still open. In a
    training that FINISHED, a run without a ready model is one that MLflow's client created twice, because the first
    response was lost: it becomes KILLED. Pending models become FAILED.
    """
    client = MlflowClient()
    training = models.find({"tag": request["tag"]})
    finished = {model["run_id"] for model in training["models"] if model["status"] == "READY"}
    runs = [run["run_id"] for run in training["runs"] if run["status"] == "RUNNING"]
    for run_id in runs:
        duplicate = request["status"] == "FINISHED" and run_id not in finished
        client.set_terminated(run_id, status="KILLED" if duplicate else request["status"])
    pending = [model["model_id"] for model in training["models"] if model["status"] == "PENDING"]
    for model_id in pending:
        client.finalize_logged_model(model_id, "FAILED")
    return {"runs": runs, "models": pending}
