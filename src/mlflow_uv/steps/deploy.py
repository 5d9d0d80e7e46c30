"""Deploys a version to a target, asks the live endpoint, and returns to what ran before if its answers are wrong."""

from contextlib import suppress
from dataclasses import replace
from enum import Enum
from typing import Annotated, Any

from ..command.errors import BadInput, NotReturned, PlanOutdated, StepError
from ..command.inputs import (
    IMAGE,
    DryRunInputs,
    OneTarget,
    PlanFile,
    RegistryInputs,
    ResponseInputs,
    StrictInputs,
    VersionInputs,
    VersionNumber,
)
from ..command.limits import NotEmpty
from ..command.report import Report, Severity
from ..command.server_inputs import AnswerTimeoutInputs, DeadlineInputs
from ..command.step import Doc, Matching, OneRun, Step
from ..command.wording import option, step_call
from ..core.deploy.difference import plan_table
from ..core.deploy.target_settings import CanarySettings, TargetSettings
from ..core.model.ignored_answers import ignored_paths
from ..core.release.chain import LinkCheck, LinkState, checked_links, merge_checks, require_unbroken
from ..core.release.record import Record
from ..core.security.endpoint_address import shown_address
from ..core.security.serve_env import require_recorded, serve_variables
from ..ops.deploy.catalog import open_target
from ..ops.deploy.claim import (
    SLACK_S,
    DeploymentClaimHolder,
    claimed,
    new_entry,
    registered_at,
    require_recorded_deployment,
    require_replaceable,
)
from ..ops.deploy.plan_file import write_plan
from ..ops.deploy.removal import removable
from ..ops.deploy.rollout import RecordedRuns, Rollout, RolloutChecks, RolloutPlan, carry_out, plan_changes
from ..ops.deploy.settings import DeploymentName, settings_of
from ..ops.deploy.target import IMAGE as IMAGE_FACT
from ..ops.deploy.target import DeploymentOptions, DeploymentTarget, PartOfOthers, WantedVersion, require_own_model
from ..ops.image.lookup import address_of
from ..ops.image.serving_check import Expected
from ..ops.lineage.audit import Audited, audited
from ..ops.lineage.link_report import link_findings
from ..ops.lineage.registry_client import RegistryClient, connect
from ..ops.lineage.version_lookup import VERSION_URI, parsed_uri, version_number
from ..ops.model.selected_requests import requests_to_send
from ..payloads.messages.deployments import DEPLOYED, PROPOSED, REMOVED, DeploymentEntry
from ..payloads.messages.lazy_dataclass import lazy_dataclass
from ..payloads.messages.registry import RegisteredName
from ..payloads.messages.tags import STATE, TESTED
from ..tools.project.files import read_project
from ..tools.toolbox import Tools


class Removal(Enum):
    """What is removed. A workflow passes an empty `preview` as none, so the word says which deployment is meant."""

    NOTHING = "nothing"
    PREVIEW = "preview"
    DEPLOYMENT = "deployment"


@lazy_dataclass
class Inputs(
    RegistryInputs, VersionInputs, ResponseInputs, DeadlineInputs, AnswerTimeoutInputs, DryRunInputs, StrictInputs
):
    """Inputs of deploy: the version, and the deployment; [tool.mlflow-uv.deploy.NAME] holds its settings."""

    target: Annotated[OneTarget, OneRun(), NotEmpty()] = None
    preview: Annotated[
        str | None,
        OneRun(),
        NotEmpty(),
        Doc("Name of a preview, such as pr-17: a deployment of its own with the settings of the target."),
    ] = None
    remove: Annotated[
        Removal,
        OneRun(),
        Doc("What to remove, instead of deploying: the `preview`, or with `deployment` the deployment of the target."),
    ] = Removal.NOTHING
    take_over: Annotated[
        bool,
        OneRun(),
        Doc("Replace or remove a deployment of a model of the same name that another registry has."),
    ] = False
    plan_file: PlanFile = None
    proxy_image: Annotated[
        str,
        OneRun(),
        Doc("Image of HAProxy, which leads requests to the new version on a host (targets compose and podman)."),
        Matching(IMAGE, "an image reference"),
    ] = "haproxy:2.6"


@lazy_dataclass
class Outputs:
    """Outputs of deploy: what the deployment runs now."""

    model_name: Annotated[str, Doc("Name of the registered model.")]
    version: VersionNumber
    deployed_before: Annotated[str | None, Doc("Version number that the deployment ran before; empty if none.")]
    deployment: Annotated[str, Doc("Name of the deployment, of a preview with the name of the preview.")]
    endpoint: Annotated[str | None, Doc("URL of the deployed model; empty if nothing is deployed.")]
    deployment_changed: Annotated[bool, Doc("Whether the deployment was changed, or would be changed in a dry run.")]


def run(inputs: Inputs, tools: Tools) -> Report[Outputs]:
    """
    Deploy a version, or remove a deployment.

    Raises BadInput, ChainBroken, PlanOutdated, DeploymentBusy, NotServing, NotReturned, NoEngine, ToolMissing,
    ToolFailed, StoreUnreachable.
    """
    _require_trusted(tools)
    _require_named(inputs)
    name, number, alias = parsed_uri(inputs.version_uri)
    project = read_project(inputs.project)
    table, settings = settings_of(project, inputs.target, tools)
    named = DeploymentName(table=table, preview=inputs.preview, serve_env=inputs.serve_env)
    deployment = named.full
    registry = connect(inputs, tools)
    described = registry.client.describe_name(name)
    options = DeploymentOptions(
        name=deployment,
        settings=settings,
        is_preview=inputs.preview is not None,
        proxy_image=inputs.proxy_image,
        deadline_s=max(inputs.deadline, settings.least_deadline_s),
        answer_s=inputs.answer_timeout,
        model=name,
        registered=registered_at(described),
        take_over=inputs.take_over,
        registry=registry,
    )
    target = open_target(options, tools)
    if inputs.remove is not Removal.NOTHING:
        return _removed(inputs, described, (name, alias or number), options, target)
    version = version_number(registry, name, alias or number, VERSION_URI)
    wanted, expected, links = _checked(inputs, registry, name, version, settings)
    wanted, record = replace(wanted, registered=options.registered), wanted.record
    require_replaceable(described, options, target.observe())

    def unchanged() -> None:
        if alias is not None and (now := version_number(registry, name, alias, VERSION_URI)) != version:
            raise PlanOutdated(
                what=f"`{alias}` of `{name}` moved to version {now} after version {version} was planned",
                why="only the version that was planned is deployed",
                fix=named.deploy_call(inputs.version_uri),
            )

    findings = tuple(link_findings(links, f"{name} version {version}", strict=inputs.strict))
    if inputs.dry_run or any(finding.severity is Severity.ERROR for finding in findings):
        changes = target.plan(wanted)
        plan = RolloutPlan(name=named, target=target, wanted=wanted, before=target.observe(), changes=changes)
        write_plan(inputs.plan_file, plan, tools)
        report = _report(deployment, plan, None)
        return replace(report, findings=findings, chain=checked_links(record, links))
    entry = new_entry(registry, deployment=deployment, target=settings.target, version=version)
    with claimed(registry, name, entry, options.deadline_s + SLACK_S) as claim:
        interrupted, proven = claim.interrupted, None if claim.proven is None else claim.proven.version
        if interrupted is not None:
            tools.console.say(f"  the run of {interrupted.who} at {interrupted.when} was interrupted")
        recorded = RecordedRuns(proven=proven, interrupted=None if interrupted is None else interrupted.version)
        changes, before = plan_changes(target, wanted, recorded, tools), target.observe()
        plan = RolloutPlan(
            name=named,
            target=target,
            wanted=wanted,
            before=before,
            changes=changes,
            undoable=recorded.interrupted == version or (proven not in (None, version) and bool(before.leftovers)),
            canary=settings if isinstance(settings, CanarySettings) else None,
        )
        write_plan(inputs.plan_file, plan, tools)
        checks = RolloutChecks(unchanged=unchanged, renew=claim.renew)
        try:
            with tools.console.group(f"deploy {name} version {version} to {deployment}"):
                rollout = carry_out(plan, expected, checks, tools)
        except BaseException as error:
            # The next run finds the claim of a dead one where the registry does not answer now.
            with suppress(StepError):
                if isinstance(error, NotReturned):
                    claim.record_unsettled()
                else:
                    claim.record_return(plan.before.version)
            raise
        _end(claim, plan, rollout)
    report = _report(deployment, plan, rollout)
    return replace(report, findings=(*findings, *rollout.findings), chain=checked_links(record, links))


def _end(claim: DeploymentClaimHolder, plan: RolloutPlan, rollout: Rollout) -> None:
    """Record what was done, and remove what ran before if the new version is deployed."""
    if rollout.proposed is not None:
        claim.record(replace(claim.entry, state=PROPOSED, endpoint=rollout.proposed, before=plan.before.version))
        return
    if rollout.returned:
        claim.record_return(plan.before.version)
        return
    # The new version has the traffic and is right: whatever happens to the old one, it is what is deployed.
    entry = _entry_of(claim, plan, rollout)
    try:
        plan.target.settle()
    finally:
        claim.record(entry, replaced=entry.before)


def _checked(
    inputs: Inputs, registry: RegistryClient, name: str, version: str, settings: TargetSettings
) -> tuple[WantedVersion, Expected, tuple[LinkCheck, ...]]:
    """
    The version with its recorded requests, and the links of its chain.

    Raises ChainBroken for a link that does not hold, and BadInput for a version that may not be deployed.
    """
    from ..ops.deploy.start_attestations import start_attestations  # noqa: PLC0415  # few images have a policy

    with audited(registry, name=name, version=version) as audit:
        links = merge_checks(require_unbroken(audit.checks))
        record = _deployable(audit, links)
        attestations = start_attestations(audit, registry, settings)
        serve_env = serve_variables(inputs.serve_env, registry.tools.host.variables)
        require_recorded(record.answers.variables if record.answers else (), serve_env)
        ignored = ignored_paths(inputs.ignore_answers)
        expected = Expected(
            requests=requests_to_send(audit.model, record.answers, ignored, skip_derived=inputs.skip_derived),
            tolerance=inputs.tolerance,
            deadline_s=inputs.deadline,
            network=True,
            ignored=ignored,
            answer_s=inputs.answer_timeout,
            serve_env=serve_env,
        )
    address = address_of(record.image)
    wanted = WantedVersion(
        model=name, version=version, record=record, address=address, serve_env=serve_env, attestations=attestations
    )
    return wanted, expected, links


def _require_trusted(tools: Tools) -> None:
    if tools.host.untrusted_event:
        raise BadInput(
            what="a pull request from a fork does not deploy",
            why="its author would decide what the machine that serves the model runs",
            fix="deploy in a workflow of a branch that the team protects",
        )


def _deployable(audit: Audited, links: tuple[LinkCheck, ...]) -> Record:
    """The record of a version that may be deployed. Raises BadInput for another."""
    shown, state = f"{audit.name} version {audit.version}", audit.tags.get(STATE, "none")
    record = audit.record
    if record is None or record.image is None or record.image.kind != "image":
        raise BadInput(
            what=f"{shown} has no image to deploy",
            why="it has no release record" if record is None else "it was released without a container engine",
            fix=step_call("release", engine="any"),
        )
    if state not in TESTED:
        why = f"its state is {state}, and only a version whose smoke test passed is deployed"
        raise BadInput(what=f"{shown} is not deployed", why=why, fix=step_call("release"))
    image = next((link for link in links if link.link == "image"), None)
    if image is not None and image.state is LinkState.UNVERIFIED:
        raise BadInput(
            what=f"the image of {shown} cannot be verified here",
            why=image.reason,
            fix=image.fix or step_call("release", push=True, image="REGISTRY/NAME"),
        )
    return record


def _entry_of(claim: DeploymentClaimHolder, plan: RolloutPlan, rollout: Rollout) -> DeploymentEntry:
    """The entry of what runs; a version that is wrong and cannot be taken back still runs."""
    entry = replace(
        claim.entry,
        state=DEPLOYED,
        endpoint=rollout.after.endpoint,
        image=rollout.after.facts.get(IMAGE_FACT, ""),
        answers=rollout.answers,
        before=_version_before(claim, plan.before.version),
    )
    return entry if plan.changes else claim.kept(entry)


def _version_before(claim: DeploymentClaimHolder, before: str | None) -> str | None:
    """The version that this one replaced: the last one that was proven, whatever an interrupted run led to."""
    proven = before if claim.proven is None else claim.proven.version
    return proven if proven != claim.entry.version else None


def _require_named(inputs: Inputs) -> None:
    """Raise BadInput if `remove` and `preview` are not about the same deployment."""
    if inputs.remove is Removal.PREVIEW and inputs.preview is None:
        raise BadInput(
            what="`remove` is `preview`, and no preview is named",
            why="without its name the deployment itself would be removed",
            fix=option("preview", "NAME"),
        )
    if inputs.remove is Removal.DEPLOYMENT and inputs.preview is not None:
        raise BadInput(
            what="`remove` is `deployment`, and `preview` names a preview",
            why="the deployment and its previews are removed one by one",
            fix=option("remove", Removal.PREVIEW.value),
        )


def _removed(
    inputs: Inputs,
    described: RegisteredName,
    named: tuple[str, str],
    options: DeploymentOptions,
    target: DeploymentTarget,
) -> Report[Outputs]:
    """Remove a deployment, whatever version it runs; `named` are the model and the alias or number of the input."""
    before, (name, given), registry = removable(target), named, options.registry
    assert registry is not None  # noqa: S101  # `run` connected to it
    there = bool(before.facts or before.leftovers)
    if there:
        require_own_model(options, before)
        require_recorded_deployment(described, options)
    if there and not inputs.dry_run:
        version = before.version or version_number(registry, name, given, VERSION_URI)
        kind = options.settings.target
        entry = new_entry(registry, deployment=options.name, target=kind, version=version)
        with claimed(registry, name, entry, options.deadline_s + SLACK_S) as claim:
            target.remove()
            replaced = None if claim.proven is None else claim.proven.version
            claim.record(replace(claim.entry, state=REMOVED, before=before.version), replaced=replaced)
    if there and inputs.dry_run and isinstance(target, PartOfOthers):
        target.require_removable()
    verb = "would be removed" if inputs.dry_run else "is removed"
    return Report(
        outputs=Outputs(
            model_name=name,
            version=before.version or "",
            deployed_before=before.version,
            deployment=options.name,
            endpoint=before.endpoint if inputs.dry_run and there else None,
            deployment_changed=there,
        ),
        summary=f"{options.name} {verb}" if there else f"{options.name} does not exist",
    )


def _report(name: str, plan: RolloutPlan, rollout: Rollout | None) -> Report[Outputs]:
    """What was done, or without a rollout what would be done."""
    wanted, before, changes = plan.wanted, plan.before, plan.changes
    shown = f"{wanted.model} version {wanted.version}"
    returned = rollout is not None and rollout.returned
    not_now = returned or (rollout is not None and rollout.proposed is not None)
    endpoint = (before if rollout is None else rollout.after).endpoint
    if rollout is None:
        summary = f"{name} would run {shown}" if changes else f"{name} already runs {shown}"
    elif rollout.proposed is not None:
        summary, endpoint = f"{name} runs {shown} once this is merged: {rollout.proposed}", ""
    elif returned:
        again = f"returned to version {before.version}" if before.version else "nothing runs, as before"
        if before.version == wanted.version:
            again = "returned to what an interrupted run had replaced"
        summary, endpoint = f"{shown} does not answer as in training: {again}", ""
    else:
        instead = f", instead of version {before.version}" if before.version not in (None, wanted.version) else ""
        where = endpoint if rollout.answers or endpoint else "nothing was asked, no address of it is known here"
        summary = f"{name} {'runs' if changes else 'already runs'} {shown}{instead}: {where}"
    address = shown_address(endpoint) if rollout is not None else ""
    advice = (f"ask it:      {address}",) if address else ()
    return Report(
        outputs=Outputs(
            model_name=wanted.model,
            version=before.version or "" if not_now else wanted.version,
            deployed_before=before.version,
            deployment=name,
            endpoint=endpoint or None,
            deployment_changed=bool(changes) and not not_now,
        ),
        summary=summary,
        tables=(plan_table(f"Plan for {name}", changes),) if changes else (),
        advice=advice,
    )


STEP: Step[Any, Any, Any] = Step(
    name="deploy",
    summary="Deploy a version to a target, ask the live endpoint, and return to what ran before if it is wrong.",
    inputs=Inputs,
    outputs=Outputs,
    run=run,
)
