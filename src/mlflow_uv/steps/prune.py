"""Which versions does nobody need any more, and are they still unneeded when they go?"""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from ..command.errors import BadInput
from ..command.inputs import (
    DryRun,
    Embedded,
    Extras,
    Groups,
    ModelName,
    PackageName,
    ProjectPath,
    TrackingUri,
    UvProgram,
)
from ..command.report import Report, Table, counted
from ..command.step import Doc, Step
from ..core.promotion.pruning import PruningRule, PruningVerdict, pruning_verdicts
from ..ops.lineage.registry_client import author, contact
from ..tools.toolbox import Tools


@dataclass(frozen=True, kw_only=True, slots=True)
class Inputs:
    """What stays."""

    project: ProjectPath = Path()
    package: PackageName = None
    extras: Extras = ()
    groups: Groups = ()
    model_name: ModelName = None
    keep: Annotated[
        int, Doc("Number of newest candidates to keep regardless of their age; failed versions do not count.")
    ] = 5
    older_than_days: Annotated[float, Doc("Minimum age, in days since registration, of the versions to delete.")] = 30.0
    dry_run: DryRun = False
    tracking_uri: TrackingUri = None
    embedded: Embedded = False
    uv: UvProgram = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Outputs:
    """What went."""

    model_name: Annotated[str, Doc("Name of the registered model.")]
    deleted: Annotated[tuple[str, ...], Doc("Numbers of the versions that were deleted, or would be in a dry run.")]
    kept: Annotated[tuple[str, ...], Doc("Numbers of the versions that were kept.")]


def run(inputs: Inputs, tools: Tools) -> Report[Outputs]:
    """
    Delete failed versions and old candidates, each only if nothing names it at that moment.

    The logged models that they were made from stay, and so do their files. Raises BadInput, StoreUnreachable.
    """
    if inputs.keep < 0 or inputs.older_than_days < 0:
        raise BadInput(
            what="`keep` and `older-than-days` must not be negative", why="they are a number of versions and an age"
        )
    store = contact(inputs, tools)
    name = store.model_name(inputs.model_name)
    found = store.ask("find-versions", name=name)["versions"]
    rule = PruningRule(keep=inputs.keep, days=inputs.older_than_days, now_s=tools.clock.date_s())
    judged = pruning_verdicts(found, rule)
    going = {one.version: one.state for one in judged if one.goes}
    kept: dict[str, str] = {}
    if going and not inputs.dry_run:
        done = store.ask("delete-versions", name=name, versions=going, entry=author(tools))
        kept = done["kept"]
        for note in done["notes"]:
            tools.console.say(f"  {note}")
    gone = tuple(number for number in going if number not in kept)
    told = "would be deleted" if inputs.dry_run else "deleted"
    return Report(
        outputs=Outputs(
            model_name=name, deleted=gone, kept=tuple(one.version for one in judged if one.version not in gone)
        ),
        summary=f"{counted(len(gone), 'version')} of {name} {told}, {len(judged) - len(gone)} stay",
        tables=(_table(judged, kept, told),) if judged else (),
        advice=("the logged models of deleted versions, and their files, remain in the store",) if gone else (),
    )


def _table(judged: tuple[PruningVerdict, ...], kept: dict[str, str], told: str) -> Table:
    rows = tuple(
        (
            one.version,
            one.state or "none",
            told if one.goes and one.version not in kept else "stays",
            kept.get(one.version, one.why),
        )
        for one in judged
    )
    return Table(title="Versions", columns=("Version", "State", "", "Why"), rows=rows)


STEP: Step[Any, Any, Any] = Step(
    name="prune",
    summary="Delete failed versions and old candidates that no alias points to.",
    inputs=Inputs,
    outputs=Outputs,
    run=run,
    needs_project=False,
)
