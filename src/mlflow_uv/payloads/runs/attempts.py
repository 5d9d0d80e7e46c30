"""Ends the runs and finalizes the models that a training left open."""

from mlflow import MlflowClient

from ..messages.models import FindModels
from ..messages.runs import CloseAttempt, ClosedAttempt
from ..models import logged_models


def close(request: CloseAttempt) -> ClosedAttempt:
    """
    End every open run and finalize every pending model of a training.

    In a training that FINISHED, a run without a ready model is one that MLflow's client created twice, because the
    first response was lost: it becomes KILLED. Pending models become FAILED.
    """
    client = MlflowClient()
    training = logged_models.find(FindModels(tag=request.tag))
    finished = {model.run_id for model in training.models if model.status == "READY"}
    runs = tuple(run.run_id for run in training.runs if run.status == "RUNNING")
    for run_id in runs:
        duplicate = request.status == "FINISHED" and run_id not in finished
        client.set_terminated(run_id, status="KILLED" if duplicate else request.status)
    pending = tuple(model.model_id for model in training.models if model.status == "PENDING")
    for model_id in pending:
        client.finalize_logged_model(model_id, "FAILED")
    return ClosedAttempt(runs=runs, models=pending)
