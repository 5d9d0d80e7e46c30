"""Which version of a registered model is this model, and if none is yet, which becomes it?"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mlflow import MlflowClient
from mlflow.entities.model_registry import ModelVersion
from mlflow.exceptions import MlflowException

from . import older
from .lease import CLOCK, LeaseClock
from .models import MODEL_DIGEST, logged_model
from .problems import Problem, ProblemKind, kind_of
from .retries import make_once
from .versions import VERSIONS_OF_MODEL, of_name, source_model, summary

_READY = "READY"
_PENDING = "PENDING_REGISTRATION"
_SECONDS_BETWEEN_LOOKS = 0.5


@dataclass(frozen=True, kw_only=True)
class _Origin:
    """What a version is made from. An MLflow 2 has no model ids, only places."""

    source: str
    model_id: str | None
    run_id: str | None
    digest: str

    def is_source_of(self, version: ModelVersion) -> bool:
        if self.model_id is not None:
            return source_model(version) == self.model_id
        return bool(version.source == self.source)


def find_or_create(request: dict[str, Any]) -> dict[str, Any]:
    """
    Look up by source, then by digest, else create; look again, and let the lowest ready number of a source win.

    {name, model_id, model_sha256, tags, description, timeout_s} -> a version's summary, with
    {created: whether the winner was made here, also: [numbers of other ready versions of the same source]}.
    A version that was there already gets the tags that it lacks; none that it has is overwritten.
    {source, run_id?} in place of model_id serve an MLflow that has no logged models.
    """
    return find_or_create_with(MlflowClient(), request, CLOCK)


def find_or_create_with(client: MlflowClient, request: "Mapping[str, Any]", clock: LeaseClock) -> dict[str, Any]:
    """See find_or_create."""
    name = request["name"]
    deadline = clock.now_s() + float(request["timeout_s"])
    origin = _origin(client, request)

    made = None
    if not _candidates(of_name(client, name), origin):
        made = _create(client, origin, request)
    winner, others = _settle(client, name, origin, deadline, clock)
    is_ours = made is not None and str(made.version) == str(winner.version)
    if not is_ours:
        _complete(client, winner, request["tags"])
    also = [other for other in others if not _is_taken_away(client, other, request)]
    if origin.model_id is not None and origin.is_source_of(winner):
        _note_on(client, origin.model_id, winner)
    return {
        **summary(client.get_model_version(name, str(winner.version))),
        "created": is_ours,
        "also": [str(other.version) for other in also],
    }


def _origin(client: MlflowClient, request: "Mapping[str, Any]") -> _Origin:
    digest = request["model_sha256"]
    if "source" in request:
        return _Origin(source=request["source"], model_id=None, run_id=request.get("run_id"), digest=digest)
    if older.is_of_run(request["model_id"]):
        source, run_id = older.source_of(request["model_id"])
        return _Origin(source=source, model_id=None, run_id=run_id, digest=digest)
    model = logged_model(client, request["model_id"])
    if str(model.status) != _READY:
        raise Problem(ProblemKind.INVALID, f"model {model.model_id} is {model.status}, so it cannot become a version")
    return _Origin(
        source=f"models:/{model.model_id}", model_id=model.model_id, run_id=model.source_run_id or None, digest=digest
    )


def _candidates(versions: tuple[ModelVersion, ...], origin: _Origin) -> tuple[ModelVersion, ...]:
    """The versions of this source, or, if there is none, those that carry its digest. Failed ones never count."""
    alive = tuple(version for version in versions if version.status in {_READY, _PENDING})
    same_source = tuple(version for version in alive if origin.is_source_of(version))
    return same_source or tuple(version for version in alive if version.tags.get(MODEL_DIGEST) == origin.digest)


def _settle(
    client: MlflowClient, name: str, origin: _Origin, deadline: float, clock: LeaseClock
) -> tuple[ModelVersion, tuple[ModelVersion, ...]]:
    """Wait until no candidate is pending any more, or take the ready ones when the time is over."""
    while True:
        every = of_name(client, name)
        found = _candidates(every, origin)
        ready = tuple(version for version in found if version.status == _READY)
        pending = tuple(version for version in found if version.status == _PENDING)
        is_late = clock.now_s() >= deadline
        if ready and (is_late or not pending):
            return ready[0], ready[1:]
        if not found:
            failed = [version for version in every if origin.is_source_of(version)]
            said = "; ".join(str(version.status_message or version.status) for version in failed)
            raise Problem(
                ProblemKind.UNEXPECTED, f"the version made from {origin.source} did not last: {said or 'deleted'}"
            )
        if is_late:
            raise Problem(ProblemKind.TIMEOUT, f"version {pending[0].version} of `{name}` is still pending")
        clock.wait(_SECONDS_BETWEEN_LOOKS)


def _create(client: MlflowClient, origin: _Origin, request: "Mapping[str, Any]") -> ModelVersion:
    """Create the version, and the registered model if need be; take an empty one away again if that fails."""
    name = request["name"]
    is_new_name = _create_name(client, name)
    try:
        return make_once(
            lambda: client.create_model_version(
                name,
                source=origin.source,
                run_id=origin.run_id,
                tags=request["tags"],
                description=request["description"],
                await_creation_for=0,
                **({} if origin.model_id is None else {"model_id": origin.model_id}),
            ),
            look=lambda: next(iter(_candidates(of_name(client, name), origin)), None),
        )
    except BaseException:
        if is_new_name and not of_name(client, name):
            client.delete_registered_model(name)
        raise


def _is_taken_away(client: MlflowClient, other: ModelVersion, request: "Mapping[str, Any]") -> bool:
    """
    Take away a second version that two jobs at once, or a repeated call, made of one model; whether it is gone.

    The lowest number wins for everybody who looks, so nobody has taken up this one. What has an alias, or is not
    exactly as it was made, stays: training or a person made it, or something was done with it since.
    """
    try:
        found = client.get_model_version(other.name, str(other.version))
        as_made = dict(found.tags) == dict(request["tags"]) and found.description == request["description"]
        if not request["tags"] or not as_made or found.aliases:
            return False
        client.delete_model_version(other.name, str(other.version))
    except MlflowException as error:
        if kind_of(error) is not ProblemKind.NOT_FOUND:  # the other job was quicker
            raise
    return True


def _create_name(client: MlflowClient, name: str) -> bool:
    """Whether the registered model is new."""
    try:
        client.create_registered_model(name)
    except MlflowException as error:
        if kind_of(error) is not ProblemKind.CONFLICT:
            raise
        return False
    return True


def _note_on(client: MlflowClient, model_id: str, made: ModelVersion) -> None:
    """Keep MLflow's own note of a model's versions, as its `register_model` does: its pages link by it."""
    noted = json.loads(logged_model(client, model_id).tags.get(VERSIONS_OF_MODEL, "[]"))
    if not any((note["name"], str(note["version"])) == (made.name, str(made.version)) for note in noted):
        noted.append({"name": made.name, "version": made.version})
        client.set_logged_model_tags(model_id, {VERSIONS_OF_MODEL: json.dumps(noted)})


def _complete(client: MlflowClient, version: ModelVersion, tags: dict[str, str]) -> None:
    for key, value in tags.items():
        if key not in version.tags:
            client.set_model_version_tag(version.name, str(version.version), key, value)
