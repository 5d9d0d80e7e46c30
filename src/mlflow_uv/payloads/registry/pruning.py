"""Deletes versions under a lease, unless their state or their aliases have changed."""

from mlflow import MlflowClient

from ..messages.registry import DeletedVersions, DeleteVersions
from ..messages.tags import STATE
from .alias_moves import existing, lease_for
from .clients import open_registry
from .lease import CLOCK, Lease, LeaseClock


def delete(request: DeleteVersions) -> DeletedVersions:
    """
    Delete versions that still have the given state and that no alias names.

    Their logged models and files are not deleted.
    """
    return delete_with(open_registry(), request, CLOCK)


def delete_with(client: MlflowClient, request: DeleteVersions, clock: LeaseClock) -> DeletedVersions:
    """See delete."""
    deleted: list[str] = []
    kept: dict[str, str] = {}
    with lease_for(client, request, clock) as lease:
        for number, state in request.versions.items():
            why = _reason_to_keep(lease, number, state)
            if why is None:
                client.delete_model_version(lease.name, number)
                deleted.append(number)
            else:
                kept[number] = why
    return DeletedVersions(deleted=tuple(deleted), kept=kept, notes=tuple(lease.notes))


def _reason_to_keep(lease: Lease, number: str, state: str) -> "str | None":
    version = existing(lease.client, lease.name, number)
    if version is None:
        return "another process deleted it"
    if version.tags.get(STATE) != state:
        return f"its state is {version.tags.get(STATE)} now"
    # Checked last, directly before the deletion.
    aliases = sorted(alias for alias, version in lease.read().aliases.items() if str(version) == number)
    return f"alias {', '.join(aliases)} names it" if aliases else None
