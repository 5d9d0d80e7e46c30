"""Which version was in use before, and is it still what it was?"""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from ..command.errors import BadInput
from ..command.inputs import (
    Champion,
    DryRun,
    Embedded,
    Extras,
    Groups,
    ImageAddress,
    ModelName,
    PackageName,
    Previous,
    ProjectPath,
    TrackingUri,
    UvProgram,
    VersionNumber,
)
from ..command.report import Report
from ..command.step import Doc, Matching, OneRun, Step
from ..command.wording import step_call
from ..core.release.chain import merge_checks, require
from ..ops.image.lookup import address_of, names_reused, served_by
from ..ops.lineage.audit import audited, distinct
from ..ops.lineage.registry_client import author, contact
from ..tools.toolbox import Tools


@dataclass(frozen=True, kw_only=True, slots=True)
class Inputs:
    """Which alias goes back, and where to if that is not clear."""

    project: ProjectPath = Path()
    package: PackageName = None
    extras: Extras = ()
    groups: Groups = ()
    model_name: ModelName = None
    champion: Champion = "champion"
    previous: Previous = "previous"
    to: Annotated[
        str | None,
        OneRun(),
        Doc(
            "Number of the version to roll back to, which must have had the alias before; defaults to the"
            " previous champion."
        ),
        Matching(r"[1-9][0-9]*", "the number of a version"),
    ] = None
    dry_run: DryRun = False
    tracking_uri: TrackingUri = None
    embedded: Embedded = False
    uv: UvProgram = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Outputs:
    """Where it went."""

    model_name: Annotated[str, Doc("Name of the registered model.")]
    version_before: Annotated[str | None, Doc("Version number that the alias pointed to before; empty if none.")]
    version: VersionNumber
    who: Annotated[str, Doc("Who requested the rollback, as recorded on both versions.")]
    image_address: ImageAddress


def run(inputs: Inputs, tools: Tools) -> Report[Outputs]:
    """
    Give the alias back to the version before, if its chain still holds; no gate is asked.

    Raises BadInput where nothing says which version that is, ChainBroken, ToolFailed where somebody else moved the
    alias meanwhile, StoreUnreachable.
    """
    store = contact(inputs, tools)
    name = store.model_name(inputs.model_name)
    distinct(champion=inputs.champion, previous=inputs.previous)
    alias = {"name": name, "alias": inputs.champion, "previous": inputs.previous, "to": inputs.to}
    entry = author(tools)
    way = store.ask("find-rollback", **alias, run=entry["run"])
    before, after = way["before"], way["after"]
    if after is None:
        what = f"`{inputs.champion}` of `{name}` is not rolled back"
        raise BadInput(what=what, why=way["why"], fix=step_call("rollback", to="NUMBER"))
    with tools.console.group(f"audit {name} version {after}"), audited(store, name=name, version=after) as found:
        links = merge_checks(require(found.checks))
        image = found.record.image if found.record else None
    if not inputs.dry_run:
        expected = {"before": before, "after": after}
        moved = store.ask("roll-back", **alias, entry=entry, expected=expected)
        for note in moved["notes"]:
            tools.console.say(f"  {note}")
    told = "would become" if inputs.dry_run else "is"
    if way["already"]:
        told = "already is"
    return Report(
        outputs=Outputs(
            model_name=name, version_before=before, version=after, who=entry["who"], image_address=address_of(image)
        ),
        summary=f"{inputs.champion} {told} {name} version {after} again, instead of version {before}",
        findings=names_reused(links, f"{name} version {after}"),
        advice=(f'load it:     mlflow.pyfunc.load_model("models:/{name}@{inputs.champion}")', *served_by(image)),
    )


STEP: Step[Any, Any, Any] = Step(
    name="rollback",
    summary="Move the champion alias back to the version that had it before.",
    inputs=Inputs,
    outputs=Outputs,
    run=run,
    needs_project=False,
)
