"""Compares what a deployment runs with what it is to run, as the rows of a plan."""

from collections.abc import Mapping

from ...command.report import Table, TableKind
from ...payloads.messages.lazy_dataclass import lazy_dataclass

Facts = Mapping[str, str]
NOTHING = "nothing"
_DIGEST = 24  # characters shown of a digest, with its algorithm


@lazy_dataclass
class DeploymentChange:
    """A part of a deployment that differs: what runs now, and what would."""

    part: str
    now: str
    then: str


def changes_between(now: Facts, then: Facts) -> tuple[DeploymentChange, ...]:
    """The parts that differ, in the order in which they are to be; a part that only runs now is left out at the end."""
    parts = (*then, *(part for part in now if part not in then))
    return tuple(
        DeploymentChange(part=part, now=now.get(part, NOTHING), then=then.get(part, NOTHING))
        for part in parts
        if now.get(part, NOTHING) != then.get(part, NOTHING)
    )


def plan_table(title: str, changes: tuple[DeploymentChange, ...]) -> Table:
    """The plan as a table of a report."""
    rows = tuple((change.part, shown_value(change.now), shown_value(change.then)) for change in changes)
    return Table(title=title, columns=("Part", "Runs now", "Would run"), rows=rows, kind=TableKind.CHANGES)


def shown_value(value: str) -> str:
    """A value as a person reads it: a digest is shortened."""
    digest = "sha256:"
    name, found, hexadecimal = value.partition(digest)
    return f"{name}{digest}{hexadecimal[: _DIGEST - len(digest)]}" if found else value
