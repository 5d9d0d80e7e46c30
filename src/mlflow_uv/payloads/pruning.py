"""How are versions deleted that nobody needs, and none that somebody began to need meanwhile?"""

from collections.abc import Mapping
from typing import Any

from mlflow import MlflowClient

from .alias_moves import STATE, existing, lease_for
from .lease import CLOCK, Lease, LeaseClock


def delete(request: dict[str, Any]) -> dict[str, Any]:
    """
    Delete versions that are still what they were when they were chosen, and that no alias names.

    {name, versions: {number: state}, lease_s?, entry: {who, when, run?}} -> {deleted: [number], kept: {number: why},
    notes}. The logged models that they were made from stay, and so do their files.
    """
    return delete_with(MlflowClient(), request, CLOCK)


def delete_with(client: MlflowClient, request: "Mapping[str, Any]", clock: LeaseClock) -> dict[str, Any]:
    """See delete."""
    deleted: list[str] = []
    kept: dict[str, str] = {}
    with lease_for(client, request, clock) as mine:
        for number, state in request["versions"].items():
            why = _why_it_stays(mine, number, state)
            if why is None:
                client.delete_model_version(mine.name, number)
                deleted.append(number)
            else:
                kept[number] = why
    return {"deleted": deleted, "kept": kept, "notes": mine.notes}


def _why_it_stays(mine: Lease, number: str, state: str) -> "str | None":
    found = existing(mine.client, mine.name, number)
    if found is None:
        return "it was deleted by somebody else"
    if found.tags.get(STATE) != state:
        return f"its state is {found.tags.get(STATE)} now"
    # Last, so that nothing but the deletion itself comes after it.
    names = sorted(alias for alias, version in mine.look().aliases.items() if str(version) == number)
    return f"alias {', '.join(names)} names it" if names else None
