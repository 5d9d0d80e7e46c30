"""Deletes failed versions and old candidates, after checking again that no alias points to them."""

from collections.abc import Mapping
from typing import Annotated, Any

from ..command.errors import BadInput
from ..command.inputs import DryRunInputs, ModelNameInputs, RegistryInputs
from ..command.report import Report, Table, counted
from ..command.step import Doc, Step
from ..command.wording import option
from ..core.promotion.pruning import PruningRule, PruningVerdict, pruning_verdicts
from ..ops.lineage.registry_client import author, connect
from ..ops.lineage.version_lookup import require_model
from ..payloads.messages.lazy_dataclass import lazy_dataclass
from ..payloads.messages.registry import DeleteVersions
from ..tools.toolbox import Tools


@lazy_dataclass
class Inputs(RegistryInputs, ModelNameInputs, DryRunInputs):
    """Inputs of prune: the versions to keep."""

    keep: Annotated[
        int, Doc("Number of newest candidates to keep regardless of their age; failed versions do not count.")
    ] = 5
    older_than_days: Annotated[float, Doc("Minimum age, in days since registration, of the versions to delete.")] = 30.0


@lazy_dataclass
class Outputs:
    """Outputs of prune: the deleted and the kept versions."""

    model_name: Annotated[str, Doc("Name of the registered model.")]
    deleted: Annotated[tuple[str, ...], Doc("Numbers of the versions that were deleted, or would be in a dry run.")]
    kept: Annotated[tuple[str, ...], Doc("Numbers of the versions that were kept.")]


def run(inputs: Inputs, tools: Tools) -> Report[Outputs]:
    """
    Delete failed versions and old candidates, each only if no alias points to it at that moment.

    Their logged models, and the files of those, stay in the store. Raises BadInput, StoreUnreachable.
    """
    if inputs.keep < 0 or inputs.older_than_days < 0:
        raise BadInput(
            what="`keep` and `older-than-days` must not be negative", why="they are a number of versions and an age"
        )
    registry = connect(inputs, tools)
    name = registry.model_name(inputs.model_name)
    versions = registry.client.find_versions(name)
    if not versions:
        require_model(registry, name, lambda other: option("model-name", other))
    rule = PruningRule(keep=inputs.keep, days=inputs.older_than_days, now_s=tools.clock.date_s())
    version_verdicts = pruning_verdicts(versions, rule)
    to_delete = {verdict.version: verdict.state for verdict in version_verdicts if verdict.goes}
    kept: Mapping[str, str] = {}
    if to_delete and not inputs.dry_run:
        done = registry.client.delete_versions(DeleteVersions(name=name, versions=to_delete, entry=author(tools)))
        kept = done.kept
        for note in done.notes:
            tools.console.say(f"  {note}")
    deleted = tuple(number for number in to_delete if number not in kept)
    verb = "would be deleted" if inputs.dry_run else "deleted"
    return Report(
        outputs=Outputs(
            model_name=name,
            deleted=deleted,
            kept=tuple(verdict.version for verdict in version_verdicts if verdict.version not in deleted),
        ),
        summary=f"{counted(len(deleted), 'version')} of {name} {verb}, {len(version_verdicts) - len(deleted)} stay",
        tables=(_table(version_verdicts, kept, verb),) if version_verdicts else (),
        advice=("the logged models of deleted versions, and their files, remain in the store",) if deleted else (),
    )


def _table(version_verdicts: tuple[PruningVerdict, ...], kept: Mapping[str, str], verb: str) -> Table:
    rows = tuple(
        (
            verdict.version,
            verdict.state or "none",
            verb if verdict.goes and verdict.version not in kept else "stays",
            kept.get(verdict.version, verdict.why),
        )
        for verdict in version_verdicts
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
