"""The phases of a deployment, with a real endpoint: what is undone, what is not, and what is said."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any, cast

import pytest

from mlflow_uv.command.errors import (
    Cancelled,
    ChainBroken,
    DeploymentBusy,
    NotReturned,
    NotServing,
    PlanOutdated,
    ToolFailed,
)
from mlflow_uv.core.deploy.proxy import FILE
from mlflow_uv.core.deploy.target_settings import CanarySettings
from mlflow_uv.core.security.serve_env import ServeVariables
from mlflow_uv.ops.deploy.rollout import Rollout, RolloutChecks, RolloutPlan, carry_out
from mlflow_uv.ops.deploy.settings import DeploymentName
from mlflow_uv.ops.deploy.target import DeploymentTarget
from tests.console import KeptConsole

from .repositories import repository_world
from .test_target import begin, deploy
from .worlds import (
    EXPECTED,
    HostWorld,
    World,
    host_world,
    multiplying,
    raising,
    rollout_plan,
    tools_of_tests,
    wanted_version,
)

NAME = DeploymentName(table="prod", preview="pr-17")


def nothing() -> None:
    """A check that finds nothing."""


CHECKS = RolloutChecks(unchanged=nothing, renew=nothing)
CANARY = CanarySettings(target="compose", canary="5, 50", canary_seconds=2)
GOOD = ["blue 200 10"] * 40 + ["green 200 11"] * 40


class StuckTarget:
    """A target whose traffic does not move, although it says so."""

    def __init__(self, target: DeploymentTarget) -> None:
        self._target = target

    def shift(self) -> None:
        """Nothing is led anywhere."""

    def __getattr__(self, name: str) -> Any:
        return getattr(self._target, name)


def plan_of(target: DeploymentTarget, version: str, **more: Any) -> RolloutPlan:
    """The plan to deploy a version."""
    return rollout_plan(target, wanted_version(version), name=NAME, **more)


def deployed(port: int) -> HostWorld:
    """A host that runs version 1."""
    world = host_world(port=port)
    deploy(world, "1")
    return world


def runs(world: HostWorld) -> tuple[str | None, tuple[str, ...]]:
    """The version, and what was left."""
    now = world.target().observe()
    return now.version, now.leftovers


def test_a_right_version_is_asked_twice_and_stays() -> None:
    """
    Once before it has the traffic, once where clients ask it.
    """
    with multiplying(2) as port:
        world = deployed(port)

        target = world.target()

        done = carry_out(plan_of(target, "2"), EXPECTED, CHECKS, tools_of_tests())
        before_settling = runs(world)
        target.settle()

    assert ("2", ("mlflow-uv-prod-blue",)) == before_settling
    assert ((), f"http://127.0.0.1:{port}", False) == (done.findings, done.after.endpoint, done.returned)
    assert 64 == len(done.answers)
    assert ("2", ()) == runs(world)


def test_a_version_that_is_only_wrong_where_clients_ask_it_is_taken_back() -> None:
    """
    The container answers right, the endpoint does not.
    """
    with multiplying(3) as port:
        world = deployed(port)

        done = carry_out(plan_of(world.target(), "2"), EXPECTED, CHECKS, tools_of_tests())

    assert (["answers-differ"], True) == ([finding.rule for finding in done.findings], done.returned)
    assert ("1", ()) == runs(world)


def test_a_target_that_still_runs_the_version_before_is_no_success() -> None:
    """
    It reports no error, and the version before answers as the new one does.
    """
    with multiplying(2) as port:
        world = deployed(port)
        plan = plan_of(world.target(), "2")
        target = StuckTarget(plan.target)

        with pytest.raises(ChainBroken, match="runs version 1 after the change"):
            carry_out(replace(plan, target=cast("DeploymentTarget", target)), EXPECTED, CHECKS, tools_of_tests())

    assert ("1", ()) == runs(world)


def test_a_wrong_version_gets_no_traffic() -> None:
    """
    The proxy got no signal.
    """
    with multiplying(2) as port:
        world = deployed(port)
        world.plant("2", "wrong")

        done = carry_out(plan_of(world.target(), "2"), EXPECTED, CHECKS, tools_of_tests())

    assert (True, "", []) == (done.returned, done.after.endpoint, world.containers.signals)
    assert ("1", ()) == runs(world)


def test_an_endpoint_that_does_not_respond_is_undone() -> None:
    """
    What ran before has the traffic again, and the error says why.
    """
    world = deployed(1)

    with pytest.raises(NotServing, match="does not respond"):
        carry_out(plan_of(world.target(), "2"), EXPECTED, CHECKS, tools_of_tests())

    assert ("1", ()) == runs(world)


def test_an_alias_that_moved_stops_it_before_anything_is_changed() -> None:
    """
    It is read again right before the first change, and once more before the traffic moves.
    """
    with multiplying(2) as port:
        for time in (1, 2):
            world = deployed(port)
            before = dict(world.containers.kept)
            checks = replace(CHECKS, unchanged=raising(PlanOutdated(what="it moved"), at=time))

            with pytest.raises(PlanOutdated):
                carry_out(plan_of(world.target(), "2"), EXPECTED, checks, tools_of_tests())

            assert (before, []) == (world.containers.kept, world.containers.signals)


@pytest.mark.parametrize("error", [Cancelled(), KeyboardInterrupt(), ToolFailed(what="the disk is gone")])
def test_a_cancelled_run_returns_to_what_ran_before(error: BaseException) -> None:
    """
    Also to nothing, where nothing ran before.
    """
    for world in (deployed(1), host_world(port=1)):
        before = runs(world)
        checks = replace(CHECKS, renew=raising(error, at=2))

        with pytest.raises(type(error)):
            carry_out(plan_of(world.target(), "2"), EXPECTED, checks, tools_of_tests())

        assert before == runs(world)


def test_a_run_that_lost_its_claim_touches_nothing_more() -> None:
    """
    The run that has it now finds what this one left, and must not be disturbed.
    """
    world = deployed(1)
    checks = replace(CHECKS, renew=raising(DeploymentBusy(what="another run"), at=2))

    with pytest.raises(DeploymentBusy):
        carry_out(plan_of(world.target(), "2"), EXPECTED, checks, tools_of_tests())

    assert ("1", ("mlflow-uv-prod-green",)) == runs(world)


def test_a_failure_to_return_is_an_error_of_its_own() -> None:
    """
    It names both reasons, and the command that deploys the version before to the same preview.
    """
    world = deployed(1)
    target = world.target()
    plan = plan_of(target, "2")

    def lost() -> None:
        world.containers.kept.clear()
        raise ToolFailed(what="the host is gone")

    with pytest.raises(NotReturned) as caught:
        carry_out(plan, EXPECTED, replace(CHECKS, renew=_second(lost)), tools_of_tests())

    assert "the host is gone" in caught.value.why
    assert "mlflow-uv deploy --version-uri models:/wine/1 --target prod --preview pr-17" == caught.value.fix


@pytest.mark.parametrize("returns", [True, False])
def test_the_values_of_variables_are_not_in_the_errors_of_a_target(returns: bool) -> None:
    """
    Platforms repeat what they do not accept, also while what ran before returns.
    """
    world = deployed(1)
    target = world.target()
    wanted = replace(wanted_version("2"), serve_env=ServeVariables({"API_KEY": "hush-hush-7"}))
    plan = replace(plan_of(target, "2"), wanted=wanted)

    def refused() -> None:
        error = ToolFailed(what="the host refuses it", why="the value 'hush-hush-7' is too short")
        error.output = ("API_KEY=hush-hush-7",)
        raise error

    if not returns:
        target.undo = refused  # type: ignore[method-assign]  # of the test
    with pytest.raises((ToolFailed, NotReturned)) as caught:
        carry_out(plan, EXPECTED, replace(CHECKS, renew=_second(refused)), tools_of_tests())

    assert ("hush" not in caught.value.text, "the value '***' is too short" in caught.value.text) == (True, True)
    assert "hush" not in "".join(caught.value.output)


def _second(call: Any) -> Any:
    calls: list[None] = []

    def check() -> None:
        calls.append(None)
        if len(calls) > 1:
            call()

    return check


@pytest.mark.parametrize(("undoable", "version"), [(True, "1"), (False, "2")])
def test_a_version_that_runs_already_is_asked_and_only_taken_back_if_its_run_was_killed(
    undoable: bool, version: str
) -> None:
    """
    A run that was killed after it led to version 2 had not asked it; version 1 is still there.
    """
    with multiplying(3) as port:
        world = deployed(port)
        target = world.target()
        target.plan(wanted_version("2"))
        target.apply(wanted_version("2"))
        target.shift()
        plan = plan_of(world.target(), "2", undoable=undoable)

        done = carry_out(plan, EXPECTED, CHECKS, tools_of_tests())

    assert ((), undoable, True) == (plan.changes, done.returned, bool(done.findings))
    assert version == world.target().observe().version


def test_a_finding_sends_the_request_to_the_endpoint_of_the_deployment() -> None:
    """
    Before the new version has traffic, no address leads to it: no command is printed that asks another server.
    """
    with multiplying(3) as port:
        world = deployed(port)
        (live,) = carry_out(plan_of(world.target(), "2"), EXPECTED, CHECKS, tools_of_tests()).findings
        world.plant("3", "wrong")
        (new,) = carry_out(plan_of(world.target(), "3"), EXPECTED, CHECKS, tools_of_tests()).findings

    assert f"http://127.0.0.1:{port}/invocations" in live.fix
    assert "answers-differ" == new.rule
    assert "curl" not in new.fix


def test_nothing_asked_is_said() -> None:
    """
    Without an address nobody knows where the traffic goes.
    """
    lines: dict[str, str] = {}
    with multiplying(2) as port:
        worlds: dict[str, World] = {"host": deployed(port), "gitops": repository_world()}
        for name, world in worlds.items():
            tools = tools_of_tests()
            carry_out(plan_of(world.target(), "2"), EXPECTED, CHECKS, tools)
            lines[name] = "\n".join(cast("KeptConsole", tools.console).lines)

    assert [(True, False), (False, True)] == [
        ("the traffic goes" in text, "nothing was asked" in text) for text in lines.values()
    ]


def rolled_out(world: HostWorld, **more: Callable[[], None]) -> Rollout:
    """Deploy version 2 with a canary."""
    plan = replace(plan_of(world.target(), "2"), canary=CANARY)
    return carry_out(plan, EXPECTED, replace(CHECKS, **more), tools_of_tests())


def test_a_good_version_gets_each_share_and_then_everything() -> None:
    """
    Each share is a new configuration of the proxy, which says afterwards that one version has the traffic.
    """
    with multiplying(2) as port:
        world = deployed(port)
        world.containers.served = GOOD

        done = rolled_out(world)

    assert ((), False) == (done.findings, done.returned)
    assert ["USR2"] * 3 == world.containers.signals
    assert "2" == world.target().observe().version
    assert "weight" not in str(world.containers.read("mlflow-uv-prod-proxy", FILE))


@pytest.mark.parametrize(
    ("served", "rule"),
    [
        (["blue 200 10"] * 40 + ["green 200 11"] * 39 + ["green 500 11"], "canary-errors"),
        (["blue 200 10"] * 40 + ["green 200 900"] * 40, "canary-slow"),
    ],
)
def test_a_version_that_clients_find_wrong_is_stopped_and_taken_back(served: list[str], rule: str) -> None:
    """
    It answers the recorded requests right, and fails or is slow with those of clients; one share is enough.
    """
    with multiplying(2) as port:
        world = deployed(port)
        world.containers.served = served

        done = rolled_out(world)

    assert ([rule], True) == ([finding.rule for finding in done.findings], done.returned)
    assert ["USR2"] * 2 == world.containers.signals  # the share, and the return
    assert ("1", ()) == runs(world)
    assert "weight" not in str(world.containers.read("mlflow-uv-prod-proxy", FILE))


def test_a_cancelled_canary_gives_all_requests_back() -> None:
    """
    The proxy is configured again although it led to the version before all the time.
    """
    with multiplying(2) as port:
        world = deployed(port)

        with pytest.raises(Cancelled):
            rolled_out(world, renew=raising(Cancelled(), at=4))

    assert ("1", ()) == runs(world)
    assert "weight" not in str(world.containers.read("mlflow-uv-prod-proxy", FILE))


def test_a_first_version_gets_everything_at_once() -> None:
    """
    There is no version before that could have the other requests.
    """
    with multiplying(2) as port:
        world = deployed(port)
        world.target().remove()
        world.containers.signals.clear()

        done = rolled_out(world)

    assert ((), []) == (done.findings, world.containers.signals)


def test_what_a_killed_canary_left_is_a_difference_for_every_next_run() -> None:
    """
    The version before runs, with a proxy that is configured otherwise: deploying it again repairs that.
    """
    with multiplying(2) as port:
        world = deployed(port)
        begin(world.target(), wanted_version("2"), up_to="ask").share(5)  # type: ignore[attr-defined]

        target = world.target()
        planned = [change.part for change in target.plan(wanted_version("1"))]
        begin(target, wanted_version("1")).settle()

    assert ["proxy"] == planned
    assert ("1", ()) == runs(world)
