"""Rolls an alias back to the version that it named before, by the audit entries."""

from dataclasses import dataclass, replace

from mlflow import MlflowClient
from mlflow.entities.model_registry import ModelVersion, RegisteredModel

from ..messages.registry import AliasEntry, AliasMove, FindRollback, RollBackAlias, RollbackTarget
from ..messages.tags import REASON, STATE
from ..problems import Problem, ProblemKind
from .alias_moves import (
    ROLL_BACK,
    entry_of,
    existing,
    finish_interrupted,
    lease_for,
    move,
    newest_of,
    require_ready,
    require_same,
    version_of,
)
from .audit_entries import entries_of
from .clients import open_registry
from .lease import CLOCK, LeaseClock


@dataclass(frozen=True, kw_only=True)
class _Rollback:
    """A rollback from version `before` to `after`; the next one would go to `previous`."""

    before: str
    after: str
    previous: "str | None" = None
    already: bool = False


def find(request: FindRollback) -> RollbackTarget:
    """
    Find the target of a rollback.

    `already`: version `to` has the alias, or the same run rolled back before, or a rollback was interrupted. If there
    is no unambiguous target, `after` is None and `why` is the reason.
    """
    return find_with(open_registry(), request)


def find_with(client: MlflowClient, request: FindRollback) -> RollbackTarget:
    """See find."""
    registered = client.get_registered_model(request.name)
    try:
        plan = _plan(client, registered, request, run=request.run)
    except Problem as problem:
        before = version_of(registered, request.alias)
        return RollbackTarget(before=before, after=None, already=False, why=problem.message)
    return RollbackTarget(before=plan.before, after=plan.after, already=plan.already, why="")


def roll_back(request: RollBackAlias) -> AliasMove:
    """Move an alias back to the version that find-rollback returned."""
    return roll_back_with(open_registry(), request, CLOCK)


def roll_back_with(client: MlflowClient, request: RollBackAlias, clock: LeaseClock) -> AliasMove:
    """See roll_back."""
    alias, expected = request.alias, request.expected
    with lease_for(client, request, clock) as lease:
        # Before an interrupted move is completed: afterwards the plan would go one version further back.
        plan = _plan(client, lease.read(), request, run=request.entry.run)
        require_same(f"alias `{alias}`: its version", expected.before, plan.before)
        require_same("the version to go back to", expected.after, plan.after)
        finish_interrupted(lease, alias, request.previous)
        if not plan.already:
            entry = entry_of(request, ROLL_BACK, after=plan.after)
            entry = replace(entry, before=plan.before, previous=plan.previous, keeps=request.previous)
            target = client.get_model_version(lease.name, plan.after)
            move(lease, entry, target, previous=request.previous)
    return AliasMove(before=plan.before, after=plan.after, already=plan.already, notes=tuple(lease.notes))


def _plan(
    client: MlflowClient, registered: RegisteredModel, request: "FindRollback | RollBackAlias", *, run: "str | None"
) -> _Rollback:
    """The rollback that a request asks for. Raises invalid or conflict without an unambiguous target."""
    alias, to, name = request.alias, request.to, registered.name
    current = version_of(registered, alias)
    if current is None:
        raise Problem(ProblemKind.INVALID, f"`{name}` has no alias `{alias}` to roll back")
    key, newest = newest_of(client.get_model_version(name, current), alias) or ("", None)
    if to is not None and to == current:
        return _Rollback(before=current, after=current, already=True)
    if newest is not None and newest.action == ROLL_BACK and newest.before is not None:
        was_ours = bool(run) and newest.run == run
        if was_ours or not newest.done:
            return _Rollback(before=newest.before, after=current, already=True)
    if to is None:
        target = _version_before(client, registered, newest, current, request)
    else:
        target = _version_named(client, name, to, newest, alias)
    require_ready(target)
    if target.tags.get(STATE) == "failed":
        raise Problem(
            ProblemKind.INVALID, f"version {target.version} of `{name}` failed: {target.tags.get(REASON, '')}"
        )
    older = newest_of(target, alias, before=key or None)
    previous = None if older is None else older[1].previous
    return _Rollback(before=current, after=str(target.version), previous=previous)


def _version_before(
    client: MlflowClient,
    registered: RegisteredModel,
    newest: "AliasEntry | None",
    current: str,
    request: "FindRollback | RollBackAlias",
) -> ModelVersion:
    """The previous version, if the audit entries and the alias `previous` agree on it."""
    alias, previous = request.alias, request.previous
    if newest is None or newest.previous is None:
        raise Problem(
            ProblemKind.INVALID,
            f"no audit entry says what `{alias}` of `{registered.name}` named before version {current}",
        )
    target = existing(client, registered.name, newest.previous)
    if target is None:
        raise Problem(
            ProblemKind.NOT_FOUND, f"version {newest.previous} of `{registered.name}`, the previous one, was deleted"
        )
    aliased = version_of(registered, previous)
    # After an interrupted promotion the alias is not moved yet.
    if aliased != newest.previous and newest.done:
        raise Problem(
            ProblemKind.CONFLICT,
            f"by the audit entries version {newest.previous} preceded version {current}, but alias `{previous}` names"
            f" {'no version' if aliased is None else f'version {aliased}'}",
        )
    return target


def _version_named(client: MlflowClient, name: str, to: str, newest: "AliasEntry | None", alias: str) -> ModelVersion:
    """A version that had the alias before. Any other has to be promoted, which checks the gates."""
    target = existing(client, name, to)
    if target is None:
        raise Problem(ProblemKind.NOT_FOUND, f"`{name}` has no version {to}")
    had = any(entry.alias == alias for entry in entries_of(target.tags).values())
    if not had and (newest is None or newest.before != to):
        raise Problem(
            ProblemKind.INVALID, f"no audit entry says that version {to} of `{name}` had alias `{alias}`: promote it"
        )
    return target
