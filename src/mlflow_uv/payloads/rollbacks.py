"""Which version did an alias name before, and how does it come to name it again?"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mlflow import MlflowClient
from mlflow.entities.model_registry import ModelVersion, RegisteredModel

from .alias_moves import (
    REASON,
    ROLL_BACK,
    STATE,
    entry_of,
    existing,
    finish_interrupted,
    lease_for,
    move,
    moved,
    named,
    newest_of,
    previous_of,
    require_ready,
    require_same,
)
from .entries import AliasEntry, entries_of
from .lease import CLOCK, LeaseClock
from .problems import Problem, ProblemKind


@dataclass(frozen=True, kw_only=True)
class _Way:
    """A rollback from `before` to `after`; the next one would go to `previous`."""

    before: str
    after: str
    previous: "str | None" = None
    already: bool = False


def find(request: dict[str, Any]) -> dict[str, Any]:
    """
    Say where a rollback would go: {name, alias, previous?, to?, run?} -> {before, after, already, why}.

    `already`: the version named by `to` has the alias, or the same run rolled back, or a rollback was interrupted.
    Where it is not clear, `after` is null, and `why` says what is in the way.
    """
    return find_with(MlflowClient(), request)


def find_with(client: MlflowClient, request: "Mapping[str, Any]") -> dict[str, Any]:
    """See find."""
    registered = client.get_registered_model(request["name"])
    try:
        way = _way(client, registered, request, run=request.get("run"))
    except Problem as refused:
        before = named(registered, request["alias"])
        return {"before": before, "after": None, "already": False, "why": refused.message}
    return {"before": way.before, "after": way.after, "already": way.already, "why": ""}


def roll_back(request: dict[str, Any]) -> dict[str, Any]:
    """
    Let an alias name the version before, as find-rollback said.

    {name, alias, previous?, to?, lease_s?, entry: {who, when, run?}, expected: {before, after}}
    -> {before, after, already, notes}
    """
    return roll_back_with(MlflowClient(), request, CLOCK)


def roll_back_with(client: MlflowClient, request: "Mapping[str, Any]", clock: LeaseClock) -> dict[str, Any]:
    """See roll_back."""
    alias, expected = request["alias"], request["expected"]
    with lease_for(client, request, clock) as mine:
        # Before what was interrupted is finished: after that, the same question would lead one version further back.
        way = _way(client, mine.look(), request, run=request["entry"].get("run"))
        require_same(f"alias `{alias}`: its version", expected["before"], way.before)
        require_same("the version to go back to", expected["after"], way.after)
        finish_interrupted(mine, alias, previous_of(request))
        if not way.already:
            kept = {"previous": way.previous, "keeps": previous_of(request)}
            entry = entry_of(request, action=ROLL_BACK, before=way.before, after=way.after, **kept)
            target = client.get_model_version(mine.name, way.after)
            move(mine, entry, target, previous=previous_of(request))
        return moved(mine, way.before, way.after, already=way.already)


def _way(client: MlflowClient, registered: RegisteredModel, request: "Mapping[str, Any]", *, run: "str | None") -> _Way:
    """Where a rollback goes. Raises invalid or conflict where that is not clear."""
    alias, to, name = request["alias"], request.get("to"), registered.name
    current = named(registered, alias)
    if current is None:
        raise Problem(ProblemKind.INVALID, f"`{name}` has no alias `{alias}` to roll back")
    key, newest = newest_of(client.get_model_version(name, current), alias) or ("", None)
    if to is not None and str(to) == current:
        return _Way(before=current, after=current, already=True)
    if newest is not None and newest.action == ROLL_BACK and newest.before is not None:
        was_ours = bool(run) and newest.run == run
        if was_ours or not newest.done:
            return _Way(before=newest.before, after=current, already=True)
    if to is None:
        target = _version_before(client, registered, newest, current, request)
    else:
        target = _version_named(client, name, str(to), newest, alias)
    require_ready(target)
    if target.tags.get(STATE) == "failed":
        raise Problem(
            ProblemKind.INVALID, f"version {target.version} of `{name}` failed: {target.tags.get(REASON, '')}"
        )
    older = newest_of(target, alias, before=key or None)
    previous = None if older is None else older[1].previous
    return _Way(before=current, after=str(target.version), previous=previous)


def _version_before(
    client: MlflowClient,
    registered: RegisteredModel,
    newest: "AliasEntry | None",
    current: str,
    request: "Mapping[str, Any]",
) -> ModelVersion:
    """The version before, if what the entries say and what the alias `previous` names is the same."""
    alias, previous = request["alias"], previous_of(request)
    if newest is None or newest.previous is None:
        raise Problem(
            ProblemKind.INVALID, f"no entry says what `{alias}` of `{registered.name}` named before version {current}"
        )
    target = existing(client, registered.name, newest.previous)
    if target is None:
        raise Problem(
            ProblemKind.NOT_FOUND, f"version {newest.previous} of `{registered.name}` was before, and is deleted"
        )
    said = named(registered, previous)
    # Where the promotion was interrupted, the alias was not moved yet.
    if said != newest.previous and newest.done:
        raise Problem(
            ProblemKind.CONFLICT,
            f"the entries say that version {newest.previous} was before version {current}, and alias `{previous}` names"
            f" {'no version' if said is None else f'version {said}'}",
        )
    return target


def _version_named(client: MlflowClient, name: str, to: str, newest: "AliasEntry | None", alias: str) -> ModelVersion:
    """A version that had the alias once. Any other is promoted, so that the gates are asked."""
    target = existing(client, name, to)
    if target is None:
        raise Problem(ProblemKind.NOT_FOUND, f"`{name}` has no version {to}")
    had = any(entry.alias == alias for entry in entries_of(target.tags).values())
    if not had and (newest is None or newest.before != to):
        raise Problem(
            ProblemKind.INVALID, f"no entry says that version {to} of `{name}` was `{alias}` once: promote it"
        )
    return target
