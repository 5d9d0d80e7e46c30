"""Finds the version of a registered model that was created from a model, or creates it."""

import json
from collections.abc import Mapping
from dataclasses import dataclass

from mlflow import MlflowClient
from mlflow.entities.model_registry import ModelVersion
from mlflow.exceptions import MlflowException

from ..messages.registry import FindOrCreateVersion, SettledVersion
from ..messages.tags import MODEL_DIGEST
from ..models.logged_models import logged_model
from ..problems import Problem, ProblemKind, kind_of
from ..stores import mlflow2
from ..stores.retries import create_once
from .clients import open_registry
from .lease import CLOCK, LeaseClock
from .versions import VERSIONS_OF_MODEL, of_name, parts_of, source_model

_READY = "READY"
_PENDING = "PENDING_REGISTRATION"
_SECONDS_BETWEEN_LOOKS = 0.5


@dataclass(frozen=True, kw_only=True)
class _Origin:
    """The source of a version. MLflow 2 has no model ids, only artifact locations."""

    source: str
    model_id: str | None
    run_id: str | None
    digest: str

    def is_source_of(self, version: ModelVersion) -> bool:
        if self.model_id is not None:
            return source_model(version) == self.model_id
        return bool(version.source == self.source)


def find_or_create(request: FindOrCreateVersion) -> SettledVersion:
    """
    Find by source, then by digest, else create; then search again: the lowest ready version of a source wins.

    An existing version gets missing tags; its other tags are not overwritten.
    """
    return find_or_create_with(open_registry(), request, CLOCK)


def find_or_create_with(client: MlflowClient, request: FindOrCreateVersion, clock: LeaseClock) -> SettledVersion:
    """See find_or_create."""
    name = request.name
    deadline = clock.now_s() + request.timeout_s
    origin = _origin(client, request)

    created = None
    if not _candidates(of_name(client, name), origin):
        created = _create(client, origin, request)
    winner, others = _settle(client, name, origin, deadline, clock)
    is_ours = created is not None and str(created.version) == str(winner.version)
    if not is_ours:
        _complete(client, winner, request.tags)
    also = [other for other in others if not _delete_duplicate(client, other, request)]
    if origin.model_id is not None and origin.is_source_of(winner):
        _note_on(client, origin.model_id, winner)
    return SettledVersion(
        **parts_of(client.get_model_version(name, str(winner.version))),
        created=is_ours,
        also=tuple(str(other.version) for other in also),
    )


def _origin(client: MlflowClient, request: FindOrCreateVersion) -> _Origin:
    digest = request.model_sha256
    if request.source is not None:
        return _Origin(source=request.source, model_id=None, run_id=request.run_id, digest=digest)
    if request.model_id is None:
        raise Problem(ProblemKind.INVALID, "the request lacks `model_id` or `source`")
    if mlflow2.is_of_run(request.model_id):
        source, run_id = mlflow2.source_of(request.model_id)
        return _Origin(source=source, model_id=None, run_id=run_id, digest=digest)
    model = logged_model(client, request.model_id)
    if str(model.status) != _READY:
        raise Problem(ProblemKind.INVALID, f"model {model.model_id} is {model.status}, so it cannot be registered")
    return _Origin(
        source=f"models:/{model.model_id}", model_id=model.model_id, run_id=model.source_run_id or None, digest=digest
    )


def _candidates(versions: tuple[ModelVersion, ...], origin: _Origin) -> tuple[ModelVersion, ...]:
    """The versions of this source, else those with its digest; failed ones are ignored."""
    alive = tuple(version for version in versions if version.status in {_READY, _PENDING})
    same_source = tuple(version for version in alive if origin.is_source_of(version))
    return same_source or tuple(version for version in alive if version.tags.get(MODEL_DIGEST) == origin.digest)


def _settle(
    client: MlflowClient, name: str, origin: _Origin, deadline: float, clock: LeaseClock
) -> tuple[ModelVersion, tuple[ModelVersion, ...]]:
    """Wait until no candidate is pending, or until the deadline; the winner and the other ready versions."""
    while True:
        versions = of_name(client, name)
        candidates = _candidates(versions, origin)
        ready = tuple(version for version in candidates if version.status == _READY)
        pending = tuple(version for version in candidates if version.status == _PENDING)
        is_late = clock.now_s() >= deadline
        if ready and (is_late or not pending):
            return ready[0], ready[1:]
        if not candidates:
            failed = [version for version in versions if origin.is_source_of(version)]
            status = "; ".join(str(version.status_message or version.status) for version in failed)
            raise Problem(
                ProblemKind.UNEXPECTED, f"the version created from {origin.source} failed: {status or 'deleted'}"
            )
        if is_late:
            raise Problem(ProblemKind.TIMEOUT, f"version {pending[0].version} of `{name}` is still pending")
        clock.wait(_SECONDS_BETWEEN_LOOKS)


def _create(client: MlflowClient, origin: _Origin, request: FindOrCreateVersion) -> ModelVersion:
    """Create the version, and the registered model if needed; a new, empty one is deleted again on failure."""
    name = request.name
    is_new_name = _create_name(client, name)
    try:
        return create_once(
            lambda: client.create_model_version(
                name,
                source=origin.source,
                run_id=origin.run_id,
                tags=dict(request.tags),
                description=request.description,
                await_creation_for=0,
                **({} if origin.model_id is None else {"model_id": origin.model_id}),
            ),
            find=lambda: next(iter(_candidates(of_name(client, name), origin)), None),
        )
    except BaseException:
        if is_new_name and not of_name(client, name):
            client.delete_registered_model(name)
        raise


def _delete_duplicate(client: MlflowClient, other: ModelVersion, request: FindOrCreateVersion) -> bool:
    """
    Delete a second version that a concurrent job or a repeated call created; whether it is gone.

    Every job uses the lowest number, so this one is unused. A version with an alias, or with other tags or another
    description than the request's, is kept: training or a person created or changed it.
    """
    try:
        version = client.get_model_version(other.name, str(other.version))
        unchanged = dict(version.tags) == dict(request.tags) and version.description == request.description
        if not request.tags or not unchanged or version.aliases:
            return False
        client.delete_model_version(other.name, str(other.version))
    except MlflowException as error:
        if kind_of(error) is not ProblemKind.NOT_FOUND:  # the other job deleted it
            raise
    return True


def _create_name(client: MlflowClient, name: str) -> bool:
    """Create the registered model; whether it is new."""
    try:
        client.create_registered_model(name)
    except MlflowException as error:
        if kind_of(error) is not ProblemKind.CONFLICT:
            raise
        return False
    return True


def _note_on(client: MlflowClient, model_id: str, version: ModelVersion) -> None:
    """Maintain MLflow's tag with a model's versions, as `register_model` does: the UI links by it."""
    entries = json.loads(logged_model(client, model_id).tags.get(VERSIONS_OF_MODEL, "[]"))
    if not any((item["name"], str(item["version"])) == (version.name, str(version.version)) for item in entries):
        entries.append({"name": version.name, "version": version.version})
        client.set_logged_model_tags(model_id, {VERSIONS_OF_MODEL: json.dumps(entries)})


def _complete(client: MlflowClient, version: ModelVersion, tags: "Mapping[str, str]") -> None:
    for key, value in tags.items():
        if key not in version.tags:
            client.set_model_version_tag(version.name, str(version.version), key, value)
