"""Carries out the plan of a deployment, asks the new version before and after it gets traffic, and undoes failures."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace

from ...command.errors import ChainBroken, DeploymentBusy, NotReturned, StepError
from ...command.report import Finding, Severity
from ...core.deploy.canary import NO_TRAFFIC, canary_findings
from ...core.deploy.difference import DeploymentChange
from ...core.deploy.target_settings import CanarySettings
from ...core.model.answers import answers_digest
from ...core.security.endpoint_address import INVOCATIONS, NO_HEADERS, endpoint_address, shown_address
from ...payloads.messages.lazy_dataclass import lazy_dataclass
from ...tools.mlflow.endpoint import Endpoint
from ...tools.toolbox import Tools
from ..image.serving_check import Expected, ObservedServer
from ..verify.endpoint import ask
from .removal import StillThere
from .settings import DeploymentName
from .target import (
    NOT_DEPLOYED,
    DeployedVersion,
    DeploymentTarget,
    MirroredTraffic,
    Proposal,
    TrafficSplit,
    WantedVersion,
    require_same_model,
)

_POLL_S = 1.0
_NOT_BACK = "ran before does not run again"


@lazy_dataclass
class RolloutPlan:
    """
    What is to be done: `changes` are empty if the deployment `name` already runs the version.

    `undoable` says that a run that was killed had led to this version, so that what ran before may still be there.
    `canary` has the shares of the requests that the new version gets first.
    """

    name: DeploymentName
    target: DeploymentTarget
    wanted: WantedVersion
    before: DeployedVersion
    changes: tuple[DeploymentChange, ...]
    undoable: bool = False
    canary: CanarySettings | None = None


@lazy_dataclass
class Rollout:
    """
    What was done: the findings about the new version, what runs after it, and the digest of the live responses.

    `returned` says that a version with findings was taken back. `proposed` is where somebody has to accept the change,
    before which nothing else runs.
    """

    findings: tuple[Finding, ...] = ()
    after: DeployedVersion = NOT_DEPLOYED
    answers: str = ""
    returned: bool = False
    proposed: str | None = None


@lazy_dataclass
class RolloutChecks:
    """What is called between the phases: `unchanged` raises if the alias moved, `renew` if the claim is lost."""

    unchanged: Callable[[], None]
    renew: Callable[[], None]


@lazy_dataclass
class RecordedRuns:
    """
    What the record says of earlier runs, None where it has none.

    `proven` is the version that was proven last, `interrupted` the one of a run that ended without settling it.
    """

    proven: str | None
    interrupted: str | None


def plan_changes(
    target: DeploymentTarget, wanted: WantedVersion, recorded: RecordedRuns, tools: Tools
) -> tuple[DeploymentChange, ...]:
    """
    Plan to run a version, from a state in which the version that is proven has all traffic, if it is still there.

    An interrupted run may have left the traffic divided, or led to a version whose endpoint was never asked: neither is
    what a failure returns to. A version that has all the traffic and is the wanted one is not taken back before it is
    asked, and one to which no such run led is what somebody chose by hand. Raises BadInput, ToolFailed, NotServing.
    """
    changes, proven = target.plan(wanted), recorded.proven
    now = target.observe()
    if not changes or proven is None or now == NOT_DEPLOYED or (now.version == proven and not now.leftovers):
        return changes
    if now.version != recorded.interrupted and not now.leftovers:
        tools.console.say(f"  version {now.version} runs, to which no run of the record led: a failure returns to it")
        return changes
    if target.restore(proven):
        return target.plan(wanted)
    tools.console.say(f"  version {proven}, the last one that was proven, is gone: a failure returns to what runs now")
    return changes


def carry_out(plan: RolloutPlan, expected: Expected, checks: RolloutChecks, tools: Tools) -> Rollout:
    """
    Carry out a plan, and return to what ran before if the new version is wrong or anything fails.

    Raises PlanOutdated before anything is changed, NotServing, ToolFailed and others of the target after what ran
    before runs again, and NotReturned if it does not.
    """
    checks.renew()
    checks.unchanged()
    if plan.changes:  # made after the plan by somebody else, it is neither changed nor undone
        require_same_model(plan.name.full, "of this target", plan.target.observe(), plan.wanted)
    with _undone_on_error(plan, tools):
        rollout = _phases(plan, expected, checks, tools)
    if not _differs(rollout.findings):
        return rollout
    # Of a version that is deployed already, there is nothing to return to unless an interrupted run left it.
    if plan.changes or plan.undoable:
        _return(plan, tools, "the new version does not answer as in training")
        return Rollout(findings=rollout.findings, returned=True)
    return rollout


def _phases(plan: RolloutPlan, expected: Expected, checks: RolloutChecks, tools: Tools) -> Rollout:
    target, say = plan.target, tools.console.say
    findings: tuple[Finding, ...] = ()
    if plan.changes:
        for change in plan.changes:
            say(f"  {change.part}: {change.now} → {change.then}")
        target.apply(plan.wanted)
        say("  the new version is created")
        target.wait()
        checks.renew()
        # No address leads to it alone, so a finding has no command that repeats the request.
        observed = target.ask_new(replace(expected, url=""))
        if observed is not None:
            findings = observed.complaints
            if _differs(findings):
                return Rollout(findings=findings)
            say(f"  {len(observed.answers)} requests to the new version: all equal")
        checks.renew()
        checks.unchanged()
        if stopped := _mirrored(plan, expected, checks, tools) or _shared(plan, expected, checks, tools):
            return Rollout(findings=stopped)
        target.shift()
        if isinstance(target, Proposal) and target.proposed is not None:
            say(f"  proposed: {target.proposed}")
            return Rollout(after=plan.before, proposed=target.proposed)
    with target.live() as endpoint:
        if plan.changes and endpoint:
            say("  the traffic goes to the new version")
        live = ask_live(endpoint, _to_endpoint(expected, target, endpoint), tools) if endpoint else None
    after = target.observe()
    # The requests alone do not say it: another version may answer them equally.
    if after.version != plan.wanted.version:
        why = f"the deployment runs version {after.version or 'nothing'} after the change, and no error was reported"
        raise ChainBroken("version", why=why)
    if live is None:
        say("  nothing was asked: no address of the endpoint is known here")
        return Rollout(findings=findings, after=after)
    if not _differs(live.complaints):
        say(f"  {len(live.answers)} requests to {after.endpoint or 'the endpoint'}: all equal")
    return Rollout(findings=live.complaints, after=after, answers=answers_digest(live.answers))


def _mirrored(plan: RolloutPlan, expected: Expected, checks: RolloutChecks, tools: Tools) -> tuple[Finding, ...]:
    """Send copies of requests to the new version, as the settings say, and ask it meanwhile. Returns what stops it."""
    target = plan.target
    if plan.before.version is None or not isinstance(target, MirroredTraffic) or not (seconds := target.mirror()):
        return ()
    tools.console.say(f"  for {seconds:g} s copies of requests go to the new version")
    stopped, number = _watched(lambda: target.ask_new(replace(expected, url="")), checks, tools, seconds)
    if not stopped:
        tools.console.say(f"  {number} requests of this run are equal")
    return stopped


def _watched(
    ask_new: Callable[[], ObservedServer | None],
    checks: RolloutChecks,
    tools: Tools,
    seconds: float,
    compared: Callable[[], tuple[Finding, ...]] = tuple,
) -> tuple[tuple[Finding, ...], int]:
    """Ask the new version for some time, and see what else is compared: what stops it, and the number of answers."""
    until, number, over = tools.clock.now_s() + seconds, 0, False
    while not over:  # once more after the time is over, with all requests of it
        over = tools.clock.now_s() >= until
        checks.renew()
        observed = ask_new()
        number += 0 if observed is None else len(observed.answers)
        differing = () if observed is None else tuple(filter(_is_error, observed.complaints))
        if stopped := (*differing, *compared()):
            return stopped, number
        tools.clock.wait(_POLL_S)
    return (), number


def _shared(plan: RolloutPlan, expected: Expected, checks: RolloutChecks, tools: Tools) -> tuple[Finding, ...]:
    """
    Lead the shares of the settings to the new version, one after the other, and ask it all the time.

    Returns what stops it. A first version gets all requests at once.
    """
    target, canary = plan.target, plan.canary
    if canary is None or not canary.canary_steps or plan.before.version is None:
        return ()
    assert isinstance(target, TrafficSplit)  # noqa: S101  # its settings have shares
    for percent in canary.canary_steps:
        target.share(percent)
        tools.console.say(f"  {percent} % of the requests go to the new version")
        traffic = NO_TRAFFIC

        def compared(percent: int = percent) -> tuple[Finding, ...]:
            nonlocal traffic
            traffic = target.served()
            return tuple(canary_findings(canary, traffic, percent))

        stopped, number = _watched(
            lambda: plan.target.ask_new(replace(expected, url="")), checks, tools, canary.canary_seconds, compared
        )
        if stopped:
            return stopped
        tools.console.say(
            f"  {number} requests of this run are equal, {len(traffic.new)} of clients were answered by it"
        )
    checks.unchanged()
    return ()


def ask_live(endpoint: str | Endpoint, expected: Expected, tools: Tools) -> ObservedServer:
    """Send the requests to the endpoint of a deployment, given by its URL or as such. Raises NotServing."""
    if isinstance(endpoint, str):
        endpoint = Endpoint(tools.web, endpoint_address(endpoint), NO_HEADERS)
    return ask(endpoint, expected, tools)


def _to_endpoint(expected: Expected, target: DeploymentTarget, asked: str | Endpoint) -> Expected:
    """The requests, with commands that send them to the endpoint as clients do; none where a login is needed."""
    endpoint = target.observe().endpoint if isinstance(asked, str) else ""
    address = shown_address(endpoint)
    # The recorded requests are MLflow's, which a server of the V2 protocol does not take.
    return replace(expected, url=address if address.endswith(INVOCATIONS) else "")


def _differs(findings: tuple[Finding, ...]) -> bool:
    return any(map(_is_error, findings))


def _is_error(finding: Finding) -> bool:
    return finding.severity is Severity.ERROR


@contextmanager
def _undone_on_error(plan: RolloutPlan, tools: Tools) -> Iterator[None]:
    """Return to what ran before if the block raises, also for a cancelled run. Raises NotReturned."""
    try:
        yield
    except DeploymentBusy:
        raise  # another run has the deployment now, and finishes or undoes this one
    except BaseException as error:
        if isinstance(error, StepError):
            _mask(error, plan)
        if plan.changes or plan.undoable:
            why = error.text if isinstance(error, StepError) else "the run was cancelled"
            _return(plan, tools, why, error)
        raise


def _return(plan: RolloutPlan, tools: Tools, why: str, error: BaseException | None = None) -> None:
    tools.console.say("  returning to what ran before")
    try:
        plan.target.undo()
    except StepError as failure:
        _mask(failure, plan)
        if isinstance(failure, StillThere) and plan.before.version:  # which has all requests again
            tools.console.say(f"  {failure.text}")
            return
        begun = isinstance(failure, StillThere)
        raise NotReturned(
            what=f"the deployment failed, and what {'was begun is still there' if begun else _NOT_BACK}",
            why=f"{why}; returning failed: {failure.text}",
            fix=plan.name.deploy_call(f"models:/{plan.wanted.model}/{plan.before.version}")
            if plan.before.version
            else "see the log of the target",
        ) from error or failure


def _mask(error: StepError, plan: RolloutPlan) -> None:
    """Mask the values of the model's variables: platforms repeat what they do not accept."""
    error.why = plan.wanted.serve_env.masked(error.why)
    error.output = tuple(map(plan.wanted.serve_env.masked, error.output))
