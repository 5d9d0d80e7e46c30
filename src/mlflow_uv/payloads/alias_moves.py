"""Which version does an alias name from now on, and what do the versions say of it?"""

from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import replace
from datetime import datetime, timezone
from typing import Any

from mlflow import MlflowClient
from mlflow.entities.model_registry import ModelVersion, RegisteredModel
from mlflow.exceptions import MlflowException

from .entries import AliasEntry, entries_of, key_after
from .lease import CLOCK, LEASE_S, Lease, LeaseClock, lease
from .problems import Problem, ProblemKind, kind_of

STATE = "mlflow-uv.state"
REASON = "mlflow-uv.reason"
RECORD = "mlflow-uv.record-sha256"
PROMOTE = "promote"
TEST = "test"
ROLL_BACK = "rollback"
_READY = "READY"


def present(request: dict[str, Any]) -> dict[str, Any]:
    """
    Let an alias name a version that was tested, whatever it named before; no state changes.

    {name, version, alias, lease_s?, entry: {who, when, run?}} -> {before, after, already: whether it was so, notes}
    """
    client, alias, number = MlflowClient(), request["alias"], str(request["version"])
    with lease_for(client, request, CLOCK) as mine:
        finish_interrupted(mine, alias, previous_of(request))
        current = named(mine.look(), alias)
        version = client.get_model_version(mine.name, number)
        already = current == number and newest_of(version, alias) is not None
        if not already:
            before = current if current != number else None
            entry = entry_of(request, action=TEST, before=before, after=number, previous=None)
            move(mine, entry, version, previous=previous_of(request))
        return moved(mine, current, number, already=already)


def promote(request: dict[str, Any]) -> dict[str, Any]:
    """
    Let an alias name a version, if the registry still says what the gates were asked of.

    {name, version, alias, previous?: alias of the version before, lease_s?, entry: {who, when, run?, gates?},
    expected: {alias_names: str|null, record_sha256, state}} -> {before, after, already: whether it was so, notes}
    """
    return promote_with(MlflowClient(), request, CLOCK)


def promote_with(client: MlflowClient, request: "Mapping[str, Any]", clock: LeaseClock) -> dict[str, Any]:
    """See promote."""
    alias, number, expected = request["alias"], str(request["version"]), request["expected"]
    with lease_for(client, request, clock) as mine:
        finish_interrupted(mine, alias, previous_of(request))
        current = named(mine.look(), alias)
        version = client.get_model_version(mine.name, number)
        require_same(f"the record of version {number}", expected["record_sha256"], version.tags.get(RECORD))
        newest = newest_of(version, alias)
        if current == number and newest is not None:
            return moved(mine, number, number, already=True)
        if current != number:
            require_same(f"alias `{alias}`: its version", expected["alias_names"], current)
            require_same(f"the state of version {number}", expected["state"], version.tags.get(STATE))
        # Somebody else may have let the alias name it without a word: nobody knows what was before.
        before = current if current != number else None
        kept = {"previous": before, "keeps": previous_of(request)}
        entry = entry_of(request, action=PROMOTE, before=before, after=number, **kept)
        move(mine, entry, version, previous=previous_of(request))
        return moved(mine, current, number, already=current == number)


def move(mine: Lease, entry: AliasEntry, version: ModelVersion, *, previous: str) -> None:
    """
    Write the entry on the version, move the alias there, and then whatever follows from the entry.

    A kill before the alias moves leaves an entry that nothing came of; after it, whoever comes next finishes it.
    """
    require_ready(version)
    client, name = mine.client, mine.name
    before = None if entry.before is None else client.get_model_version(name, entry.before)
    known = (key for one in (version, before) if one is not None for key in entries_of(one.tags))
    key = key_after(known, datetime.fromtimestamp(mine.clock.date_s(), timezone.utc), mine.clock.token())
    client.set_model_version_tag(name, entry.after, key, entry.text())
    try:
        current = named(mine.look(), entry.alias)
        if current != entry.after:
            require_same(f"alias `{entry.alias}`: its version", entry.before, current)
            client.set_registered_model_alias(name, entry.alias, entry.after)
    except Problem:
        client.delete_model_version_tag(name, entry.after, key)
        raise
    _finish(mine, key, entry, version, previous)
    require_same(f"alias `{entry.alias}`: its version", entry.after, named(mine.look(), entry.alias))


def finish_interrupted(mine: Lease, alias: str, previous: str) -> None:
    """What a killed process began, and moved the alias for, is done to its end by whoever comes next."""
    current = named(mine.look(), alias)
    if current is None:
        return
    version = mine.client.get_model_version(mine.name, current)
    newest = newest_of(version, alias)
    if newest is None or newest[1].done:
        return
    key, entry = newest
    _finish(mine, key, entry, version, previous)
    mine.notes.append(f"the {entry.action} by {entry.who} at {entry.when} was interrupted, and is finished now")


def _finish(mine: Lease, key: str, entry: AliasEntry, after: ModelVersion, previous: str) -> None:
    """What follows from a moved alias, each step only where it lacks; that everything is done comes last."""
    client, name = mine.client, mine.name
    registered = mine.look()
    before = None if entry.before is None else existing(client, name, entry.before)
    if entry.action != TEST:
        _point(mine, registered, previous, entry)
        _tag(client, after, {STATE: "promoted", REASON: ""})
    done = replace(entry, done=True).text()
    if before is not None:
        if entry.action != TEST and not _has_another_alias(registered, before, entry.alias):
            why = f"rolled back by {entry.who} at {entry.when}" if entry.action == ROLL_BACK else ""
            _tag(client, before, {STATE: "replaced", REASON: why})
        _tag(client, before, {key: done})
    client.set_model_version_tag(name, entry.after, key, done)


def _point(mine: Lease, registered: RegisteredModel, previous: str, entry: AliasEntry) -> None:
    """Let the alias `previous` name where the next rollback goes; a first promotion does not touch it."""
    wanted = entry.previous
    if wanted == named(registered, previous):
        return
    if wanted is not None and existing(mine.client, mine.name, wanted) is not None:
        mine.client.set_registered_model_alias(mine.name, previous, wanted)
    elif entry.before is not None:
        mine.client.delete_registered_model_alias(mine.name, previous)


def _has_another_alias(registered: RegisteredModel, version: ModelVersion, alias: str) -> bool:
    """Whether the version was promoted to another alias too, and still has it."""
    number = str(version.version)
    came = (entry for entry in entries_of(version.tags).values() if entry.after == number)
    promoted = {entry.alias for entry in came if entry.action != TEST}
    return any(named(registered, other) == number for other in promoted - {alias})


def _tag(client: MlflowClient, version: ModelVersion, tags: dict[str, str]) -> None:
    for key, value in tags.items():
        if version.tags.get(key, "") != value:
            client.set_model_version_tag(version.name, str(version.version), key, value)


def newest_of(version: ModelVersion, alias: str, *, before: "str | None" = None) -> "tuple[str, AliasEntry] | None":
    """The newest entry, or the newest before that of a key, by which an alias came to a version."""
    came = (
        (key, entry)
        for key, entry in entries_of(version.tags).items()
        if entry.alias == alias and entry.after == str(version.version)
    )
    return next((one for one in came if before is None or one[0] < before), None)


def existing(client: MlflowClient, name: str, number: str) -> "ModelVersion | None":
    """The version, or None where it was deleted."""
    try:
        return client.get_model_version(name, number)
    except MlflowException as error:
        if kind_of(error) is not ProblemKind.NOT_FOUND:
            raise
        return None


def lease_for(client: MlflowClient, request: "Mapping[str, Any]", clock: LeaseClock) -> "AbstractContextManager[Lease]":
    """The lease for a request, announced in the name of the requester."""
    words = request["entry"]
    about = {key: words.get(key) for key in ("who", "when", "run")}
    return lease(client, request["name"], lease_s=float(request.get("lease_s", LEASE_S)), about=about, clock=clock)


def entry_of(request: "Mapping[str, Any]", **words: Any) -> AliasEntry:
    """The entry that a request asks for."""
    said = request["entry"]
    told = {"who": said["who"], "when": said["when"], "run": said.get("run"), "gates": tuple(said.get("gates", ()))}
    return AliasEntry(alias=request["alias"], **told, **words)


def previous_of(request: "Mapping[str, Any]") -> str:
    """The alias of the version before."""
    return str(request.get("previous", "previous"))


def moved(mine: Lease, before: "str | None", after: str, *, already: bool) -> dict[str, Any]:
    """The answer; its notes are the lease's own list, because its release may add one."""
    return {"before": before, "after": after, "already": already, "notes": mine.notes}


def require_same(what: str, expected: "str | None", found: "str | None") -> None:
    """Raise a conflict that names both."""
    if expected != found:
        raise Problem(ProblemKind.CONFLICT, f"{what} was {expected or 'none'} and is {found or 'none'} now")


def require_ready(version: ModelVersion) -> None:
    """Raise where nobody could load it."""
    if str(version.status) != _READY:
        raise Problem(ProblemKind.INVALID, f"version {version.version} of `{version.name}` is {version.status}")


def named(registered: RegisteredModel, alias: str) -> "str | None":
    """The version an alias names."""
    version = registered.aliases.get(alias)
    return None if version is None else str(version)
