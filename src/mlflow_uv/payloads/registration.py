"""Which version of a registered model is this model, and if none is yet, which becomes it?"""

import json
import time
from typing import Any

from mlflow import MlflowClient
from mlflow.entities import LoggedModel
from mlflow.entities.model_registry import ModelVersion
from mlflow.exceptions import MlflowException

from .models import MODEL_DIGEST, logged_model
from .problems import Kind, Problem, kind_of
from .versions import VERSIONS_OF_MODEL, of_name, source_model, summary

_READY = "READY"
_PENDING = "PENDING_REGISTRATION"
_SECONDS_BETWEEN_LOOKS = 0.5


def find_or_create(request: dict[str, Any]) -> dict[str, Any]:
    """
    Look up by source, then by digest, else create; look again, and let the lowest ready number of a source win.

    {name, model_id, model_sha256, tags, description, timeout_s} -> a version's summary, with
    {created: whether the winner was made here, also: [numbers of other ready versions of the same source]}.
    A version that was there already gets the tags that it lacks; none that it has is overwritten.
    """
    client = MlflowClient()
    name, digest = request["name"], request["model_sha256"]
    deadline = time.monotonic() + float(request["timeout_s"])
    model = logged_model(client, request["model_id"])
    if str(model.status) != _READY:
        raise Problem(Kind.INVALID, f"model {model.model_id} is {model.status}, so it cannot become a version")

    made = None
    if not _candidates(of_name(client, name), model, digest):
        made = _create(client, model, request)
    winner, also = _settle(client, name, model, digest, deadline)
    if made is None or str(made.version) != str(winner.version):
        _complete(client, winner, request["tags"])
    return {
        **summary(client.get_model_version(name, str(winner.version))),
        "created": made is not None and str(made.version) == str(winner.version),
        "also": [str(other.version) for other in also],
    }


def _candidates(versions: tuple[ModelVersion, ...], model: LoggedModel, digest: str) -> tuple[ModelVersion, ...]:
    """The versions of this source, or, if there is none, those that carry its digest. Failed ones never count."""
    alive = tuple(version for version in versions if version.status in {_READY, _PENDING})
    same_source = tuple(version for version in alive if source_model(version) == model.model_id)
    return same_source or tuple(version for version in alive if version.tags.get(MODEL_DIGEST) == digest)


def _settle(
    client: MlflowClient, name: str, model: LoggedModel, digest: str, deadline: float
) -> tuple[ModelVersion, tuple[ModelVersion, ...]]:
    """Wait until no candidate is pending any more, or take the ready ones when the time is over."""
    while True:
        every = of_name(client, name)
        found = _candidates(every, model, digest)
        ready = tuple(version for version in found if version.status == _READY)
        pending = tuple(version for version in found if version.status == _PENDING)
        if ready and not pending:
            return ready[0], ready[1:]
        if not found:
            failed = [version for version in every if source_model(version) == model.model_id]
            said = "; ".join(str(version.status_message or version.status) for version in failed)
            raise Problem(Kind.UNEXPECTED, f"the version made from {model.model_id} did not last: {said or 'deleted'}")
        if time.monotonic() >= deadline:
            if ready:
                return ready[0], ready[1:]
            raise Problem(Kind.TIMEOUT, f"version {pending[0].version} of `{name}` is still pending")
        time.sleep(_SECONDS_BETWEEN_LOOKS)


def _create(client: MlflowClient, model: LoggedModel, request: dict[str, Any]) -> ModelVersion:
    """Create the version, and the registered model if need be; take an empty one away again if that fails."""
    name = request["name"]
    new_name = _create_name(client, name)
    try:
        made = client.create_model_version(
            name,
            source=f"models:/{model.model_id}",
            run_id=model.source_run_id or None,
            tags=request["tags"],
            description=request["description"],
            await_creation_for=0,
            model_id=model.model_id,
        )
    except BaseException:
        if new_name and not of_name(client, name):
            client.delete_registered_model(name)
        raise
    _note_on(client, model, made)
    return made


def _create_name(client: MlflowClient, name: str) -> bool:
    """Whether the registered model is new."""
    try:
        client.create_registered_model(name)
    except MlflowException as error:
        if kind_of(error) is not Kind.CONFLICT:
            raise
        return False
    return True


def _note_on(client: MlflowClient, model: LoggedModel, made: ModelVersion) -> None:
    """Keep MLflow's own note of a model's versions, as its `register_model` does: its pages link by it."""
    noted = json.loads(logged_model(client, model.model_id).tags.get(VERSIONS_OF_MODEL, "[]"))
    noted.append({"name": made.name, "version": made.version})
    client.set_logged_model_tags(model.model_id, {VERSIONS_OF_MODEL: json.dumps(noted)})


def _complete(client: MlflowClient, version: ModelVersion, tags: dict[str, str]) -> None:
    for key, value in tags.items():
        if key not in version.tags:
            client.set_model_version_tag(version.name, str(version.version), key, value)
