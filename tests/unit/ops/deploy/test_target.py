"""What every kind of target does in the same way: create, change, return, and go on after a killed run."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, cast

import pytest

from mlflow_uv.command.errors import BadInput, Cancelled, ChainBroken, NotServing, PlanOutdated, ToolFailed
from mlflow_uv.core.deploy.running import RUNNING
from mlflow_uv.core.deploy.target_settings import CanarySettings
from mlflow_uv.ops.deploy.rollout import RecordedRuns, RolloutChecks, carry_out, plan_changes
from mlflow_uv.ops.deploy.target import DeploymentTarget, TrafficSplit, WantedVersion
from mlflow_uv.ops.image.serving_check import Expected
from tests.console import KeptConsole

from .inference_platforms import INFERENCE_PLATFORMS
from .platforms import IN_PLACE, PLATFORMS
from .repositories import repository_world
from .worlds import (
    EXPECTED,
    WORLDS,
    KeptCluster,
    World,
    digest_of,
    raising,
    rollout_plan,
    tools_of_tests,
    wanted_version,
)

PHASES = ("apply", "wait", "ask", "shift")
BESIDE = {**WORLDS, **INFERENCE_PLATFORMS, **PLATFORMS}
REMOVABLE = {**BESIDE, **IN_PLACE}
PLACES = {**REMOVABLE, "gitops": repository_world}
SHARED = {kind: PLACES[kind] for kind in PLACES if kind not in ("kubernetes", "sagemaker batch", "mlflow", "gitops")}
KILLED = RecordedRuns(proven="1", interrupted="2")
# What a version is recognised by: its image, or the model where a platform has servers of its own.
# Whose parts say when their model was registered; of the others the record of the registry decides.
MARKED = [kind for kind in PLACES if kind not in ("databricks", "gitops", "mlflow")]
HERE, THERE = "2026-01-01T00:00:00.000+00:00", "2026-01-01T00:00:00.001+00:00"
IDENTITIES: Mapping[str, Callable[[str], str]] = {"image": digest_of, "model digest": "model {}".format}


@pytest.fixture(params=PLACES)
def world(request: pytest.FixtureRequest) -> World:
    """Where a kind of target deploys to."""
    return PLACES[request.param]()


@pytest.fixture(params=SHARED)
def divided(request: pytest.FixtureRequest) -> World:
    """The same, where a part of the traffic can be led to a new version."""
    return SHARED[request.param]()


@pytest.fixture(params=BESIDE)
def beside(request: pytest.FixtureRequest) -> World:
    """The same, where a new version is created beside the old one."""
    return BESIDE[request.param]()


@pytest.fixture(params=REMOVABLE)
def removable(request: pytest.FixtureRequest) -> World:
    """The same, where `deploy` made everything, and removes it."""
    return REMOVABLE[request.param]()


def begin(target: DeploymentTarget, wanted: WantedVersion, *, up_to: str = "shift") -> DeploymentTarget:
    """Run the phases of a deployment as far as one of them."""
    calls: dict[str, Callable[[], object]] = {
        "apply": lambda: target.apply(wanted),
        "wait": target.wait,
        "ask": lambda: target.ask_new(EXPECTED),
        "shift": target.shift,
    }
    target.plan(wanted)
    for phase in PHASES[: PHASES.index(up_to) + 1]:
        calls[phase]()
    return target


def nothing() -> None:
    """A check that finds nothing."""


def roll_out(
    target: DeploymentTarget,
    version: str | WantedVersion,
    renew: Callable[[], None] = nothing,
    *,
    expected: Expected = EXPECTED,
    **more: Any,
) -> Any:
    """Deploy a version with everything that is asked and undone."""
    wanted = wanted_version(version) if isinstance(version, str) else version
    plan = rollout_plan(target, wanted, **more)
    return carry_out(plan, expected, RolloutChecks(unchanged=nothing, renew=renew), tools_of_tests())


def deploy(world: World, version: str) -> None:
    """Deploy a version in a run of its own."""
    begin(world.target(), wanted_version(version)).settle()


def runs(world: World) -> tuple[str | None, str | None, tuple[str, ...]]:
    """What a new run sees: version, state, and what was left."""
    deployed = world.target().observe()
    return deployed.version, deployed.facts.get("state"), deployed.leftovers


def test_a_first_deployment_names_everything_and_a_second_run_changes_nothing(world: World) -> None:
    """
    The plan has the model, the version and the digest; after it, the plan is empty.
    """
    planned = {change.part: (change.now, change.then) for change in world.target().plan(wanted_version("1"))}

    deploy(world, "1")

    (identity,) = IDENTITIES.keys() & planned.keys()
    assert ("nothing", "1") == planned["version"]
    before, then = planned[identity]
    assert ("nothing", IDENTITIES[identity]("1")) == (before, then.rpartition("@")[2])
    assert ("1", RUNNING, ()) == runs(world)
    assert () == world.target().plan(wanted_version("1"))


def test_an_update_replaces_the_version_and_leaves_nothing(world: World) -> None:
    """
    The plan has what differs alone; version 1 is gone afterwards.
    """
    deploy(world, "1")
    planned = [change.part for change in world.target().plan(wanted_version("2"))]

    deploy(world, "2")

    assert planned in (["version", "image"], ["version", "model digest"])
    assert ("2", RUNNING, ()) == runs(world)


@pytest.mark.parametrize("phase", PHASES)
def test_an_update_is_undone_after_any_phase(world: World, phase: str) -> None:
    """
    Version 1 runs as before, and nothing of version 2 is left.
    """
    deploy(world, "1")
    before = world.target().observe()

    begin(world.target(), wanted_version("2"), up_to=phase).undo()

    assert before == world.target().observe()


@pytest.mark.parametrize("phase", PHASES)
def test_a_first_deployment_is_undone_after_any_phase(world: World, phase: str) -> None:
    """
    Nothing runs, as before.
    """
    begin(world.target(), wanted_version("1"), up_to=phase).undo()

    assert (None, None, ()) == runs(world)


@pytest.mark.parametrize("phase", PHASES)
@pytest.mark.parametrize("version", ["1", "2", "3"])
def test_the_next_run_goes_on_after_one_that_was_killed(world: World, phase: str, version: str) -> None:
    """
    Whichever version it deploys, that one runs, and nothing of the killed run is left.
    """
    deploy(world, "1")
    begin(world.target(), wanted_version("2"), up_to=phase)

    target, wanted = world.target(), wanted_version(version)
    if target.plan(wanted):
        begin(target, wanted)
    target.settle()

    assert (version, RUNNING, ()) == runs(world)


def leave(world: World, where: str) -> None:
    """Deploy version 2 in a run that is killed after a phase, or with a share of the traffic where there is one."""
    target = begin(world.target(), wanted_version("2"), up_to=where if where in PHASES else "ask")
    if where not in PHASES and isinstance(target, TrafficSplit):
        target.share(int(where))


@pytest.mark.parametrize("where", [*PHASES, "40", "75"])
@pytest.mark.parametrize("version", ["2", "3"])
def test_a_failure_after_a_killed_run_returns_to_what_was_proven(world: World, where: str, version: str) -> None:
    """
    It is the version of the record, whatever share of the traffic the killed run had led to its own.
    """
    deploy(world, "1")
    leave(world, where)
    target, wanted = world.target(), wanted_version(version)

    changes = plan_changes(target, wanted, KILLED, tools_of_tests())
    if changes:
        begin(target, wanted)
    target.undo()

    assert (version, where) == ("2", "shift") or changes
    assert ("1", RUNNING, ()) == runs(world)


@pytest.mark.parametrize("where", [*PHASES, "40", "75"])
def test_the_proven_version_has_all_traffic_before_another_one_is_created(world: World, where: str) -> None:
    """
    The plan is made from there; the version itself needs no change then.
    """
    deploy(world, "1")
    leave(world, where)

    changes = plan_changes(world.target(), wanted_version("3"), KILLED, tools_of_tests())
    again = plan_changes(world.target(), wanted_version("1"), KILLED, tools_of_tests())
    target = world.target()
    seen = target.observe()
    target.settle()

    assert ("1", "3") == next((change.now, change.then) for change in changes if change.part == "version")
    assert ((), "1", RUNNING) == (again, seen.version, seen.facts["state"])
    assert ("1", RUNNING, ()) == runs(world)


def test_a_proven_version_that_is_gone_is_not_returned_to(world: World) -> None:
    """
    What runs stays, and the run says so.
    """
    deploy(world, "2")
    tools = tools_of_tests()

    changes = plan_changes(world.target(), wanted_version("3"), KILLED, tools)

    assert "2" == next(change.now for change in changes if change.part == "version")
    assert "version 1, the last one that was proven, is gone" in "".join(cast("KeptConsole", tools.console).lines)
    assert ("2", RUNNING, ()) == runs(world)


@pytest.mark.parametrize("interrupted", [None, "3"])
def test_a_version_that_somebody_chose_by_hand_is_what_a_failure_returns_to(
    world: World, interrupted: str | None
) -> None:
    """
    No run that was killed led to it, whatever was proven before.
    """
    deploy(world, "1")
    deploy(world, "2")
    tools, target = tools_of_tests(), world.target()

    changes = plan_changes(target, wanted_version("3"), RecordedRuns(proven="1", interrupted=interrupted), tools)
    seen = world.target().observe().version
    begin(target, wanted_version("3")).undo()

    assert ("2", "2") == (next(change.now for change in changes if change.part == "version"), seen)
    assert "to which no run of the record led" in "".join(cast("KeptConsole", tools.console).lines)
    assert ("2", RUNNING, ()) == runs(world)


def test_a_later_run_returns_to_what_is_still_there(beside: World) -> None:
    """
    A run that was killed led to version 2; without a version beside the one that runs there is nothing to return to.
    """
    deploy(beside, "1")
    begin(beside.target(), wanted_version("2"))
    target, lone = beside.target(), beside.target()
    target.plan(wanted_version("2"))

    target.undo()
    lone.plan(wanted_version("1"))

    assert "1" == beside.target().observe().version
    with pytest.raises(ToolFailed, match="nothing to return to"):
        lone.undo()


@pytest.mark.parametrize(("fault", "error"), [("swapped", ChainBroken), ("silent", NotServing), ("ends", NotServing)])
def test_a_version_that_is_not_what_was_tested_gets_no_traffic(
    beside: World, fault: str, error: type[Exception]
) -> None:
    """
    Another image than the recorded one, one that never becomes healthy, and one that ends are refused before.
    """
    deploy(beside, "1")
    before = beside.target().observe()
    beside.plant("2", fault)
    target = beside.target()

    with pytest.raises(error):
        begin(target, wanted_version("2"), up_to="ask")
    target.undo()

    assert before == beside.target().observe()


def test_a_wrong_version_is_found_before_it_gets_traffic(beside: World) -> None:
    """
    It is healthy, and answers with three times the value.
    """
    beside.plant("2", "wrong")
    deploy(beside, "1")
    target = begin(beside.target(), wanted_version("2"), up_to="wait")

    observed = target.ask_new(EXPECTED)

    assert observed is not None
    assert ["answers-differ"] == [finding.rule for finding in observed.complaints]
    assert "1" == beside.target().observe().version


def test_a_removed_deployment_leaves_nothing(removable: World) -> None:
    """
    A second removal finds nothing to do.
    """
    deploy(removable, "1")

    removable.target().remove()
    removable.target().remove()

    assert (None, None, ()) == runs(removable)


@pytest.mark.parametrize("where", ["wait", "shift"])
def test_a_deployment_of_another_model_is_not_removed(world: World, where: str) -> None:
    """
    Neither by the command nor as the return of a run; also if it is only begun.
    """
    begin(world.target(), wanted_version("1"), up_to=where)
    before = world.target().observe()

    if before.leftovers or before.facts:
        with pytest.raises(BadInput, match="runs the model `wine`"):
            world.target(model="cats").remove()

    assert before == world.target().observe()


@dataclass
class Overtaken:
    """A cluster in which another model has the deployment once the traffic would be led, so that this is refused."""

    cluster: KeptCluster
    theirs: KeptCluster

    def __getattr__(self, name: str) -> Any:
        """See Cluster."""
        return getattr(self.cluster, name)

    def apply(self, objects: Sequence[Mapping[str, Any]]) -> None:
        """See Cluster."""
        if objects[0]["kind"] in ("Service", "InferenceService", "SeldonDeployment", "Experiment"):
            self.cluster.objects.update(self.theirs.objects)
            raise PlanOutdated(what="somebody else owns a field that the deployment sets")
        self.cluster.apply(objects)


@pytest.mark.parametrize("kind", ["kubernetes", *INFERENCE_PLATFORMS])
def test_what_a_cluster_refuses_for_another_model_leaves_nothing(kind: str) -> None:
    """
    The pods of this run go, those of the other model and what leads to them stay, and the run ends as outdated.
    """
    world, theirs = (cast("Any", BESIDE[kind]()) for _ in range(2))
    deploy(theirs, "1")
    deploy(theirs, "2")
    overtaken = replace(world, cluster=Overtaken(world.cluster, theirs.cluster))
    target, wanted = overtaken.target(model="cats"), wanted_version("1", model="cats")
    plan = rollout_plan(target, wanted)

    with pytest.raises(PlanOutdated):
        carry_out(plan, EXPECTED, RolloutChecks(unchanged=nothing, renew=nothing), tools_of_tests())

    assert ("2", RUNNING, ()) == runs(world)
    assert {*theirs.cluster.objects} == {*world.cluster.objects}


def test_a_deployment_that_another_model_made_after_the_plan_is_left_alone(world: World) -> None:
    """
    The run ends before it changes or undoes anything.
    """
    target, wanted = world.target(model="cats"), wanted_version("2", model="cats")
    plan = rollout_plan(target, wanted)
    deploy(world, "1")

    with pytest.raises(BadInput, match="runs the model `wine`"):
        carry_out(plan, EXPECTED, RolloutChecks(unchanged=nothing, renew=nothing), tools_of_tests())

    assert ("1", RUNNING, ()) == runs(world)


@pytest.fixture(params=MARKED)
def marked(request: pytest.FixtureRequest) -> World:
    """Where a kind of target deploys to whose parts say when their model was registered."""
    return PLACES[request.param]()


def deploy_here(world: World, *, up_to: str = "shift") -> DeploymentTarget:
    """Deploy a version of this registry, up to a phase."""
    return begin(world.target(registered=HERE), wanted_version("1", registered=HERE), up_to=up_to)


@pytest.mark.parametrize("where", PHASES)
def test_a_deployment_of_another_registry_is_neither_replaced_nor_removed(marked: World, where: str) -> None:
    """
    Both have a model of the same name, and the same version; also if the deployment is only begun.
    """
    deploy_here(marked, up_to=where)
    before = marked.target(registered=HERE).observe()
    theirs = marked.target(registered=THERE)

    if before.models:
        with pytest.raises(BadInput, match="runs the model `wine of another registry`") as replacing:
            theirs.plan(wanted_version("1", registered=THERE))
        with pytest.raises(BadInput, match="runs the model `wine of another registry`"):
            theirs.remove()
        assert "take-over" in replacing.value.fix

    after = marked.target(registered=HERE).observe()
    assert before.models or where == "apply"
    assert (before.version, before.models, before.leftovers) == (after.version, after.models, after.leftovers)


def test_a_deployment_that_another_registry_made_after_the_plan_is_left_alone(marked: World) -> None:
    """
    The run ends before it changes or undoes anything.
    """
    target, wanted = marked.target(registered=THERE), wanted_version("2", registered=THERE)
    plan = rollout_plan(target, wanted)
    deploy_here(marked).settle()

    with pytest.raises(BadInput, match="of another registry"):
        carry_out(plan, EXPECTED, RolloutChecks(unchanged=nothing, renew=nothing), tools_of_tests())

    assert ("1", RUNNING, ()) == runs(marked)


def test_a_deployment_of_another_registry_is_taken_over_if_that_is_asked(marked: World) -> None:
    """
    It is theirs then: the registry before can neither replace nor remove it.
    """
    deploy_here(marked).settle()
    target = marked.target(registered=THERE, take_over=True)
    wanted = wanted_version("1", registered=THERE)
    planned = [change.part for change in target.plan(wanted)]

    begin(target, wanted).settle()

    assert ["registered"] == planned
    assert ("1", RUNNING, ()) == runs(marked)
    assert () == marked.target(registered=THERE).plan(wanted)
    with pytest.raises(BadInput, match="of another registry"):
        marked.target(registered=HERE).plan(wanted_version("2", registered=HERE))


def test_a_deployment_that_does_not_say_when_its_model_was_registered_is_updated(marked: World) -> None:
    """
    An earlier release made it; the plan has the difference, and the next run none.
    """
    deploy(marked, "1")
    wanted = wanted_version("1", registered=HERE)
    planned = [change.part for change in marked.target(registered=HERE).plan(wanted)]

    begin(marked.target(registered=HERE), wanted).settle()

    assert ["registered"] == planned
    assert () == marked.target(registered=HERE).plan(wanted)


@pytest.mark.parametrize("call", [1, 2, 3])
def test_a_cancelled_run_returns(world: World, call: int) -> None:
    """
    Whichever of its checks is reached, and while the platform changes something.
    """
    deploy(world, "1")

    with pytest.raises(Cancelled):
        roll_out(world.target(), "2", raising(Cancelled(), at=call))

    assert ("1", RUNNING, ()) == runs(world)


def test_a_canary_is_stopped_by_its_gate(divided: World) -> None:
    """
    The version turns wrong once it has a share of the traffic, and answered right before.
    """
    deploy(divided, "1")
    target = divided.target()
    shares: list[int] = []
    share = target.share  # type: ignore[attr-defined]  # it divides

    def turning(percent: int) -> None:
        share(percent)
        shares.append(percent)
        if percent > 10:
            divided.plant("2", "wrong")

    target.share = turning  # type: ignore[attr-defined]  # as above
    canary = CanarySettings(target="x", canary="10, 50, 90", canary_seconds=2)

    done = roll_out(target, "2", canary=canary)

    assert ([10, 50], ["answers-differ"], True) == (shares, [f.rule for f in done.findings], done.returned)
    assert ("1", RUNNING, ()) == runs(divided)


def test_a_change_that_takes_too_long_is_returned_from(beside: World) -> None:
    """
    The run ends after its deadline; the change of the platform ends later, and nothing of the version is left.
    """
    deploy(beside, "1")
    before = beside.target().observe()
    beside.plant("2", "silent")

    with pytest.raises(NotServing, match=r"not ready|still changes|still runs|not healthy within|not run within"):
        roll_out(beside.target(), "2")

    assert before == beside.target().observe()


def test_two_runs_at_once_end_with_the_version_of_the_second(world: World) -> None:
    """
    The platform refuses a change during a change, and the run that comes second waits for the first.
    """
    deploy(world, "1")
    begin(world.target(), wanted_version("2"), up_to="apply")

    begin(world.target(), wanted_version("3")).settle()

    assert ("3", RUNNING, ()) == runs(world)
