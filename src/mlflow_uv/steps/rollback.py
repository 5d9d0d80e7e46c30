"""Moves the champion alias back to the version before, after recomputing that version's lineage."""

from typing import Annotated, Any

from ..command.errors import BadInput
from ..command.inputs import AliasMoveInputs, ImageAddress, ModelNameInputs, RegistryInputs, VersionNumber
from ..command.report import Report
from ..command.step import Doc, Matching, OneRun, Step
from ..command.wording import step_call
from ..core.release.chain import merge_checks, require_unbroken
from ..ops.image.lookup import address_of, names_reused, serve_line
from ..ops.lineage.audit import audited, require_distinct
from ..ops.lineage.loading import load_line
from ..ops.lineage.registry_client import author, connect
from ..ops.lineage.version_lookup import CHAMPION, version_of_alias
from ..payloads.messages.lazy_dataclass import lazy_dataclass
from ..payloads.messages.registry import ExpectedRollback, FindRollback, RollBackAlias
from ..tools.toolbox import Tools


@lazy_dataclass
class Inputs(RegistryInputs, ModelNameInputs, AliasMoveInputs):
    """Inputs of rollback: the aliases, and optionally the version to return to."""

    to: Annotated[
        str | None,
        OneRun(),
        Doc(
            "Number of the version to roll back to, which must have had the alias before; defaults to the"
            " previous champion."
        ),
        Matching(r"[1-9][0-9]*", "the number of a version"),
    ] = None


@lazy_dataclass
class Outputs:
    """Outputs of rollback."""

    model_name: Annotated[str, Doc("Name of the registered model.")]
    version_before: Annotated[str | None, Doc("Version number that the alias pointed to before; empty if none.")]
    version: VersionNumber
    who: Annotated[str, Doc("Who requested the rollback, as recorded on both versions.")]
    image_address: ImageAddress


def run(inputs: Inputs, tools: Tools) -> Report[Outputs]:
    """
    Move the alias back to the version before, if its lineage still holds; gates are not checked.

    Raises BadInput if that version is unknown, ChainBroken, StoreUnreachable, and ToolFailed if the alias was moved
    concurrently.
    """
    registry = connect(inputs, tools)
    name = registry.model_name(inputs.model_name)
    require_distinct(champion=inputs.champion, previous=inputs.previous)
    version_of_alias(registry, name, inputs.champion, CHAMPION)
    entry = author(tools)
    decision = registry.client.find_rollback(
        FindRollback(name=name, alias=inputs.champion, previous=inputs.previous, to=inputs.to, run=entry.run)
    )
    before, after = decision.before, decision.after
    if after is None:
        what = f"`{inputs.champion}` of `{name}` is not rolled back"
        raise BadInput(what=what, why=decision.why, fix=step_call("rollback", to="NUMBER"))
    with tools.console.group(f"audit {name} version {after}"), audited(registry, name=name, version=after) as audit:
        links = merge_checks(require_unbroken(audit.checks))
        record = audit.record
    if not inputs.dry_run:
        moved = registry.client.roll_back(
            RollBackAlias(
                name=name,
                alias=inputs.champion,
                previous=inputs.previous,
                to=inputs.to,
                entry=entry,
                expected=ExpectedRollback(before=before, after=after),
            )
        )
        for note in moved.notes:
            tools.console.say(f"  {note}")
    verb = "would become" if inputs.dry_run else "is"
    if decision.already:
        verb = "already is"
    return Report(
        outputs=Outputs(
            model_name=name,
            version_before=before,
            version=after,
            who=entry.who,
            image_address=address_of(record.image if record else None),
        ),
        summary=f"{inputs.champion} {verb} {name} version {after} again, instead of version {before}",
        findings=names_reused(links, f"{name} version {after}"),
        advice=(
            load_line(name, inputs.champion, registry.client.store, tools.host.variables),
            *serve_line(record),
        ),
    )


STEP: Step[Any, Any, Any] = Step(
    name="rollback",
    summary="Move the champion alias back to the version that had it before.",
    inputs=Inputs,
    outputs=Outputs,
    run=run,
    needs_project=False,
)
