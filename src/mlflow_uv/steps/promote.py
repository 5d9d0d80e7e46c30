"""Checks the candidate without running it, and moves the champion's alias to it if every condition holds."""

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

from ..command.errors import BadInput
from ..command.inputs import AliasMoveInputs, CandidateInputs, ModelNameInputs, RegistryInputs, VersionNumber
from ..command.report import Finding, Report, counted
from ..command.step import Doc, Step
from ..command.vulnerability_inputs import VulnerabilityInputs
from ..command.wording import Wording, step_call
from ..core.lock.targets import ServingTargets, parse_target
from ..core.promotion.evaluation_file import LIMIT, EvaluationFile, read_evaluation
from ..core.promotion.promote_policy import Promotion, read_promotion
from ..core.release.chain import merge_checks
from ..ops.image.lookup import names_reused
from ..ops.lineage.audit import audited, require_distinct
from ..ops.lineage.loading import load_line
from ..ops.lineage.registry_client import RegistryClient, author, connect
from ..ops.lineage.version_lookup import CANDIDATE, version_number
from ..ops.versions.conditions import PromotionDecision
from ..ops.versions.evaluation import keep_file
from ..ops.versions.promotion import check_promotion
from ..payloads.messages.lazy_dataclass import lazy_dataclass
from ..payloads.messages.registry import ExpectedVersion, PromoteVersion
from ..payloads.messages.tags import RECORD_DIGEST, STATE
from ..tools.project.files import read_project
from ..tools.project.policy_table import policy_table
from ..tools.toolbox import Tools

LEASE_S = 300.0


@lazy_dataclass
class Inputs(RegistryInputs, ModelNameInputs, CandidateInputs, AliasMoveInputs, VulnerabilityInputs):
    """Inputs of promote: the aliases; [tool.mlflow-uv.promote] holds the gates."""

    targets: ServingTargets = ()


@lazy_dataclass
class Outputs:
    """Outputs of promote: the decision and its effect."""

    model_name: Annotated[str, Doc("Name of the registered model.")]
    version: VersionNumber
    version_before: Annotated[str | None, Doc("Version number that the alias pointed to before; empty if none.")]
    promoted: Annotated[bool, Doc("Whether the alias points to the version now.")]
    gates: Annotated[tuple[str, ...], Doc("Every gate with the values that were compared.")]


def run(inputs: Inputs, tools: Tools) -> Report[Outputs]:
    """
    Check the candidate's links, its state and the project's gates, and move the alias only if all of them hold.

    Raises BadInput, StoreUnreachable, and ToolFailed if the alias was moved concurrently.
    """
    project = read_project(inputs.project)
    require_distinct(candidate=inputs.candidate, champion=inputs.champion, previous=inputs.previous)
    targets = tuple(str(parse_target(text)) for text in inputs.targets)
    promotion = replace(
        read_promotion(policy_table(project, "promote", where=tools.host.folder)),
        targets=targets,
        vulnerability_service=inputs.vulnerability_service,
    )
    registry = connect(inputs, tools)
    name = registry.model_name(inputs.model_name)
    evaluation = None if inputs.evaluation_file is None else _evaluation(inputs.evaluation_file, name)
    version = version_number(registry, name, inputs.candidate, CANDIDATE)
    previous_version = registry.client.describe_name(name).aliases.get(inputs.champion)
    with ExitStack() as opened, tools.console.group(f"check the gates of {name} version {version}"):
        candidate = opened.enter_context(audited(registry, name=name, version=version))
        champion_version = previous_version if previous_version != version else None
        champion = (
            opened.enter_context(audited(registry, name=name, version=champion_version)) if champion_version else None
        )
        decision = check_promotion(candidate, champion, promotion, registry, evaluation)
    findings = tuple(_findings(decision, promotion))
    moved = None
    if not findings and not inputs.dry_run:
        if evaluation is not None:
            keep_file(registry, evaluation, tuple(filter(None, (candidate, champion))))
        expected = ExpectedVersion(
            alias_names=previous_version,
            record_sha256=candidate.tags.get(RECORD_DIGEST),
            state=candidate.tags.get(STATE),
        )
        moved = registry.client.promote(
            PromoteVersion(
                name=name,
                version=version,
                alias=inputs.champion,
                previous=inputs.previous,
                expected=expected,
                entry=replace(author(tools), gates=decision.lines),
                lease_s=LEASE_S,
            )
        )
        for note in moved.notes:
            tools.console.say(f"  {note}")
    shown_version, unchanged = f"{name} version {version}", not findings and previous_version == version
    reused = names_reused(merge_checks(candidate.checks), shown_version)
    return Report(
        outputs=Outputs(
            model_name=name,
            version=version,
            version_before=previous_version if moved is None else moved.before,
            promoted=moved is not None or previous_version == version,
            gates=decision.lines,
        ),
        summary=f"{inputs.champion} already is {shown_version}"
        if unchanged
        else _summary(inputs.champion, shown_version, previous_version, moved=moved is not None, failing=len(findings)),
        findings=(*findings, *reused),
        tables=(decision.table, *decision.tables),
        advice=() if moved is None or unchanged else tuple(_advice(inputs, registry, name, moved.before, tools)),
    )


def _evaluation(file: Path, name: str) -> EvaluationFile:
    """Read the evaluation of this registered model that another job wrote. Raises BadInput."""
    try:
        with file.open("rb") as stream:
            evaluation = read_evaluation(stream.read(LIMIT + 1))
    except OSError as error:
        what = f"the evaluation `{file}` cannot be read"
        fix = step_call("evaluate", evaluation_file=str(file))
        raise BadInput(what=what, why=error.strerror or str(error), fix=fix) from error
    except ValueError as error:
        raise BadInput(what=f"`{file}` is not an evaluation", why=str(error), fix=step_call("evaluate")) from error
    if evaluation.model_name != name:
        raise BadInput(what=f"the evaluation in `{file}` is of another model", why=f"the model to promote is `{name}`")
    return evaluation


def _findings(decision: PromotionDecision, promotion: Promotion) -> Iterator[Finding]:
    """Yield a finding for every failed condition, at its line in the manifest if it has one."""
    for condition in decision.conditions:
        if not condition.holds:
            line = promotion.lines.get(condition.name, promotion.line)
            yield Finding(
                rule=f"gate-{condition.name}",
                what=condition.text,
                fix=condition.fix,
                path=promotion.manifest,
                line=line,
            )


def _summary(alias: str, version: str, previous_version: str | None, *, moved: bool, failing: int) -> str:
    """Return one line with the result."""
    if failing:
        return f"{version} is not promoted: {counted(failing, 'gate')} failed"
    instead = f", instead of version {previous_version}" if previous_version else ""
    return f"{alias} {'is' if moved else 'would become'} {version}{instead}"


def _advice(
    inputs: Inputs, registry: RegistryClient, name: str, previous_version: str | None, tools: Tools
) -> Iterator[str]:
    yield load_line(name, inputs.champion, registry.client.store, tools.host.variables)
    if previous_version is not None:
        inputs_given = {"model-name": name, "champion": inputs.champion, "previous": inputs.previous}
        usual = {"model-name": registry.model_name(None), "champion": "champion", "previous": "previous"}
        differing = {flag.replace("-", "_"): word for flag, word in inputs_given.items() if word != usual[flag]}
        yield Wording("roll back:   ", step_call("rollback", **differing))


STEP: Step[Any, Any, Any] = Step(
    name="promote",
    summary="Move the champion alias to the candidate if its audit and smoke test passed and every gate holds.",
    inputs=Inputs,
    outputs=Outputs,
    run=run,
)
