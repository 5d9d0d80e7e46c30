"""Decides which of several models that were exported from a version at the same time counts."""

import re

from mlflow import MlflowClient
from mlflow.entities.model_registry import ModelVersion
from mlflow.exceptions import MlflowException

from ..messages.conversion import FindExport, FoundExport
from ..messages.models import FindModels, LoggedModelDescription
from ..messages.tags import EXPORT_KEY, MODEL_DIGEST
from ..models import logged_models
from ..problems import Problem, ProblemKind, kind_of
from ..stores import mlflow2
from .clients import open_registry
from .lease import CLOCK, LeaseClock, hold_lease
from .versions import VERSIONS_OF_MODEL, source_model

_VERSION = re.compile(r"models:/(?P<name>[^/@]+)/(?P<version>\d+)")


def find(request: FindExport) -> FoundExport:
    """See FindExport. Raises not-found if no ready model has the key."""
    return find_with(open_registry(), request, CLOCK)


def find_with(client: MlflowClient, request: FindExport, clock: LeaseClock) -> FoundExport:
    """See find."""
    about = {"action": "export", "version": request.version, "model": request.model_id}
    with hold_lease(client, request.name, lease_s=request.lease_s, about=about, clock=clock) as lease:
        tagged = client.get_model_version(request.name, request.version).tags.get(request.tag, "")
        registered = _registered(client, tagged)
        named = source_model(registered) if registered is not None else _id(tagged)
        ready = _ready(request.key)
        if not ready:
            raise Problem(ProblemKind.NOT_FOUND, f"no ready model has the tag {EXPORT_KEY} {request.key}")
        counting = next((model for model in ready if model.model_id == named), ready[0])
        lease.read()  # not expired
        if counting.model_id != named:
            client.set_model_version_tag(request.name, request.version, request.tag, mlflow2.uri_of(counting.model_id))
            registered = None
        for model in ready:
            if request.is_new and model.model_id == request.model_id != counting.model_id:
                _delete(client, model)
    return FoundExport(
        model_id=counting.model_id,
        sha256=counting.tags[MODEL_DIGEST],
        name=registered.name if registered is not None else "",
        version=str(registered.version) if registered is not None else "",
    )


def _registered(client: MlflowClient, uri: str) -> "ModelVersion | None":
    """The version that a URI names; None for the URI of a logged model, and for a version that was deleted."""
    parts = _VERSION.fullmatch(uri)
    if parts is None:
        return None
    try:
        return client.get_model_version(parts["name"], parts["version"])
    except MlflowException as error:
        if kind_of(error) is not ProblemKind.NOT_FOUND:
            raise
        return None


def _id(uri: str) -> str:
    return uri if mlflow2.is_of_run(uri) else uri.removeprefix("models:/")


def _ready(key: str) -> "list[LoggedModelDescription]":
    """The complete models with an export key, the oldest first."""
    models = logged_models.find(FindModels(tag=(EXPORT_KEY, key))).models
    ready = [
        model for model in models
        if model.status == "READY" and model.tags.get(EXPORT_KEY) == key and MODEL_DIGEST in model.tags
    ]  # fmt: skip
    return sorted(ready, key=lambda model: (model.created, model.model_id))


def _delete(client: MlflowClient, model: LoggedModelDescription) -> None:
    """Delete a model that nothing refers to, and end its run as killed; MLflow 2 keeps both."""
    if mlflow2.is_of_run(model.model_id) or VERSIONS_OF_MODEL in model.tags:
        return
    client.delete_logged_model(model.model_id)
    if model.run_id is not None:
        client.set_terminated(model.run_id, status="KILLED")
