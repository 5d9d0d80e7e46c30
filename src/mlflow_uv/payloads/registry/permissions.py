"""Checks write permissions on a server with malformed requests, which it rejects only after authorization."""

from typing import Any

from mlflow import MlflowClient
from mlflow.entities import ExperimentTag
from mlflow.entities.model_registry import RegisteredModelTag
from mlflow.exceptions import MlflowException

from ..messages.registry import DescribeRights, NameRights
from ..problems import ProblemKind, kind_of
from .clients import open_registry

# Errors for a request without a name; a server checks permissions before it validates the request.
_MALFORMED = frozenset({ProblemKind.INVALID, ProblemKind.NOT_FOUND})


def describe(request: DescribeRights) -> NameRights:
    """
    Check whether runs may be logged and versions registered; nothing is written.

    A missing permission is an error of kind DENIED.
    """
    client = open_registry()
    exists = _exists(client, request.name)
    experiment = client.get_experiment_by_name(request.experiment)
    registry, tracking = client._get_registry_client().store, client._tracking_client.store  # noqa: SLF001
    if exists:
        _require_permission(lambda: registry.set_registered_model_tag(request.name, RegisteredModelTag("", "")))
    else:
        _require_permission(lambda: registry.create_registered_model(""))
    if experiment is not None:
        _require_permission(lambda: tracking.set_experiment_tag(experiment.experiment_id, ExperimentTag("", "")))
    else:
        _require_permission(lambda: tracking.create_experiment("", None, None))
    return NameRights(exists=exists)


def _exists(client: MlflowClient, name: str) -> bool:
    try:
        client.get_registered_model(name)
    except MlflowException as error:
        if kind_of(error) is not ProblemKind.NOT_FOUND:
            raise
        return False
    return True


def _require_permission(call: Any) -> None:
    try:
        call()
    except MlflowException as error:
        if kind_of(error) not in _MALFORMED:
            raise
