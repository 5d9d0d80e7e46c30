"""Moves a registry alias under a lease, writes the audit entry and updates the states of the versions."""

from contextlib import AbstractContextManager
from dataclasses import replace
from datetime import datetime, timezone

from mlflow import MlflowClient
from mlflow.entities.model_registry import ModelVersion, RegisteredModel
from mlflow.exceptions import MlflowException

from ..messages.registry import (
    AliasEntry,
    AliasMove,
    AssignAlias,
    DeleteVersions,
    PromoteVersion,
    RollBackAlias,
)
from ..messages.tags import REASON, RECORD_DIGEST, STATE
from ..problems import Problem, ProblemKind, kind_of
from .audit_entries import entries_of, key_after, text_of
from .clients import open_registry
from .lease import CLOCK, Lease, LeaseClock, hold_lease

PROMOTE = "promote"
TEST = "test"
ROLL_BACK = "rollback"
_READY = "READY"


def assign(request: AssignAlias) -> AliasMove:
    """Assign an alias to a tested version, whatever it named before; states do not change."""
    client, alias, number = open_registry(), request.alias, request.version
    with lease_for(client, request, CLOCK) as lease:
        finish_interrupted(lease, alias, request.previous)
        current = version_of(lease.read(), alias)
        version = client.get_model_version(lease.name, number)
        already = current == number and newest_of(version, alias) is not None
        if not already:
            before = current if current != number else None
            entry = replace(entry_of(request, TEST, after=number), before=before)
            move(lease, entry, version, previous=request.previous)
    return AliasMove(before=current, after=number, already=already, notes=tuple(lease.notes))


def promote(request: PromoteVersion) -> AliasMove:
    """Promote a version to an alias, if the registry still is as it was when the gates were checked."""
    return promote_with(open_registry(), request, CLOCK)


def promote_with(client: MlflowClient, request: PromoteVersion, clock: LeaseClock) -> AliasMove:
    """See promote."""
    with lease_for(client, request, clock) as lease:
        moved = _promoted(lease, request)
    # The release of the lease may add a note.
    return replace(moved, notes=tuple(lease.notes))


def _promoted(lease: Lease, request: PromoteVersion) -> AliasMove:
    alias, number, expected = request.alias, request.version, request.expected
    finish_interrupted(lease, alias, request.previous)
    current = version_of(lease.read(), alias)
    version = lease.client.get_model_version(lease.name, number)
    require_same(f"the record of version {number}", expected.record_sha256, version.tags.get(RECORD_DIGEST))
    newest = newest_of(version, alias)
    if current == number and newest is not None:
        return AliasMove(before=number, after=number, already=True)
    if current != number:
        require_same(f"alias `{alias}`: its version", expected.alias_names, current)
        require_same(f"the state of version {number}", expected.state, version.tags.get(STATE))
    # The alias may have been moved without an audit entry: then the version before is unknown.
    before = current if current != number else None
    entry = entry_of(request, PROMOTE, after=number)
    entry = replace(entry, before=before, previous=before, keeps=request.previous)
    move(lease, entry, version, previous=request.previous)
    return AliasMove(before=current, after=number, already=current == number)


def move(lease: Lease, entry: AliasEntry, version: ModelVersion, *, previous: str) -> None:
    """
    Write the entry to the version, move the alias, and complete the move.

    A process that is killed before the alias moves leaves an entry without effect; after it, the next process completes
    the move. Raises a conflict if the alias was moved in the meantime.
    """
    require_ready(version)
    client, name = lease.client, lease.name
    before = None if entry.before is None else client.get_model_version(name, entry.before)
    known = (key for item in (version, before) if item is not None for key in entries_of(item.tags))
    key = key_after(known, datetime.fromtimestamp(lease.clock.date_s(), timezone.utc), lease.clock.token())
    client.set_model_version_tag(name, entry.after, key, text_of(entry))
    try:
        current = version_of(lease.read(), entry.alias)
        if current != entry.after:
            require_same(f"alias `{entry.alias}`: its version", entry.before, current)
            client.set_registered_model_alias(name, entry.alias, entry.after)
    except Problem:
        client.delete_model_version_tag(name, entry.after, key)
        raise
    _finish(lease, key, entry, version, previous)
    require_same(f"alias `{entry.alias}`: its version", entry.after, version_of(lease.read(), entry.alias))


def finish_interrupted(lease: Lease, alias: str, previous: str) -> None:
    """Complete a move of a killed process that had already moved the alias."""
    current = version_of(lease.read(), alias)
    if current is None:
        return
    version = lease.client.get_model_version(lease.name, current)
    newest = newest_of(version, alias)
    if newest is None or newest[1].done:
        return
    key, entry = newest
    _finish(lease, key, entry, version, previous)
    lease.notes.append(f"the {entry.action} by {entry.who} at {entry.when} was interrupted and has been completed")


def _finish(lease: Lease, key: str, entry: AliasEntry, after: ModelVersion, previous: str) -> None:
    """Update states and aliases after a move, each only if needed; the entry is marked as done last."""
    client, name = lease.client, lease.name
    registered = lease.read()
    before = None if entry.before is None else existing(client, name, entry.before)
    if entry.action != TEST:
        _point(lease, registered, previous, entry)
        _tag(client, after, {STATE: "promoted", REASON: ""})
    done = text_of(replace(entry, done=True))
    if before is not None:
        if entry.action != TEST and not _has_another_alias(registered, before, entry.alias):
            why = f"rolled back by {entry.who} at {entry.when}" if entry.action == ROLL_BACK else ""
            _tag(client, before, {STATE: "replaced", REASON: why})
        _tag(client, before, {key: done})
    client.set_model_version_tag(name, entry.after, key, done)


def _point(lease: Lease, registered: RegisteredModel, previous: str, entry: AliasEntry) -> None:
    """Point the alias `previous` to the target of the next rollback; a first promotion leaves it unchanged."""
    target = entry.previous
    if target == version_of(registered, previous):
        return
    if target is not None and existing(lease.client, lease.name, target) is not None:
        lease.client.set_registered_model_alias(lease.name, previous, target)
    elif entry.before is not None:
        lease.client.delete_registered_model_alias(lease.name, previous)


def _has_another_alias(registered: RegisteredModel, version: ModelVersion, alias: str) -> bool:
    """Whether the version was promoted to another alias, too, and still has it."""
    number = str(version.version)
    arrivals = (entry for entry in entries_of(version.tags).values() if entry.after == number)
    promoted = {entry.alias for entry in arrivals if entry.action != TEST}
    return any(version_of(registered, other) == number for other in promoted - {alias})


def _tag(client: MlflowClient, version: ModelVersion, tags: dict[str, str]) -> None:
    for key, value in tags.items():
        if version.tags.get(key, "") != value:
            client.set_model_version_tag(version.name, str(version.version), key, value)


def newest_of(version: ModelVersion, alias: str, *, before: "str | None" = None) -> "tuple[str, AliasEntry] | None":
    """Key and entry of the newest move of an alias to a version, optionally before that of a key."""
    arrivals = (
        (key, entry)
        for key, entry in entries_of(version.tags).items()
        if entry.alias == alias and entry.after == str(version.version)
    )
    return next((item for item in arrivals if before is None or item[0] < before), None)


def existing(client: MlflowClient, name: str, number: str) -> "ModelVersion | None":
    """The version, None if it was deleted."""
    try:
        return client.get_model_version(name, number)
    except MlflowException as error:
        if kind_of(error) is not ProblemKind.NOT_FOUND:
            raise
        return None


def lease_for(
    client: MlflowClient,
    request: "AssignAlias | PromoteVersion | RollBackAlias | DeleteVersions",
    clock: LeaseClock,
) -> "AbstractContextManager[Lease]":
    """The lease for a request, with the author of its entry."""
    author = request.entry
    about = {"who": author.who, "when": author.when, "run": author.run}
    return hold_lease(client, request.name, lease_s=request.lease_s, about=about, clock=clock)


def entry_of(request: "AssignAlias | PromoteVersion | RollBackAlias", action: str, *, after: str) -> AliasEntry:
    """The audit entry of a request, without the versions before."""
    author = request.entry
    return AliasEntry(
        action=action,
        alias=request.alias,
        before=None,
        after=after,
        previous=None,
        who=author.who,
        when=author.when,
        run=author.run,
        gates=author.gates,
    )


def require_same(what: str, expected: "str | None", current: "str | None") -> None:
    """Raise a conflict with both values if they differ."""
    if expected != current:
        raise Problem(ProblemKind.CONFLICT, f"{what} was {expected or 'none'} and is {current or 'none'} now")


def require_ready(version: ModelVersion) -> None:
    """Raise Problem if the version's status is not READY."""
    if str(version.status) != _READY:
        raise Problem(ProblemKind.INVALID, f"version {version.version} of `{version.name}` is {version.status}")


def version_of(registered: RegisteredModel, alias: str) -> "str | None":
    """The version number that an alias names, None without the alias."""
    version = registered.aliases.get(alias)
    return None if version is None else str(version)
