"""What did a training leave open?"""

from typing import Any

from mlflow import MlflowClient

from . import models


def close(request: dict[str, Any]) -> dict[str, Any]:
    """
    Let nothing of a training look as if it went on.

    {tag: [key, value], status: FINISHED|FAILED|KILLED} -> {runs, models}: the ids of what was still open. Of a
    training that FINISHED, a run without a finished model is one that MLflow's client made twice, because the first
    answer was lost: it was KILLED. Models that were begun and never finished are FAILED.
    """
    client = MlflowClient()
    found = models.find({"tag": request["tag"]})
    finished = {model["run_id"] for model in found["models"] if model["status"] == "READY"}
    runs = [run["run_id"] for run in found["runs"] if run["status"] == "RUNNING"]
    for run_id in runs:
        orphan = request["status"] == "FINISHED" and run_id not in finished
        client.set_terminated(run_id, status="KILLED" if orphan else request["status"])
    pending = [model["model_id"] for model in found["models"] if model["status"] == "PENDING"]
    for model_id in pending:
        client.finalize_logged_model(model_id, "FAILED")
    return {"runs": runs, "models": pending}
