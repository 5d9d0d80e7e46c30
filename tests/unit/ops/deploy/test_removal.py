"""What every kind of target does if a deletion is accepted and has no effect, or one that is late."""

from dataclasses import replace
from typing import Any, cast

import pytest

from mlflow_uv.command.errors import NotReturned
from mlflow_uv.core.deploy.running import RUNNING
from mlflow_uv.ops.deploy.mlflow import MlflowDeployment
from mlflow_uv.ops.deploy.removal import StillThere, require_gone
from mlflow_uv.ops.deploy.rollout import RolloutChecks, carry_out
from mlflow_uv.payloads.messages.platforms import PluginAction, PluginResult
from tests.console import KeptConsole

from .platforms import KeptPlugin, options_of, plugin_world
from .test_target import BESIDE, REMOVABLE, begin, deploy, nothing, roll_out, runs
from .worlds import EXPECTED, World, host_world, rollout_plan, tools_of_tests, wanted_version

# Where the version before, or what is beside it, is deleted by a call of its own after the traffic moved.
DELETED_BESIDE = ("host", "kubernetes", "seldon2", "azureml", "ray", "sagemaker batch")


@pytest.fixture(params=REMOVABLE)
def keeping(request: pytest.FixtureRequest) -> World:
    """Where a kind of target deploys to, which keeps what is deleted and reports no error."""
    world = REMOVABLE[request.param]()
    world.accept_deletions(without_effect=True)
    return world


@pytest.fixture(params=DELETED_BESIDE)
def keeping_beside(request: pytest.FixtureRequest) -> World:
    """The same, where a version is deleted beside another one."""
    world = BESIDE[request.param]()
    world.accept_deletions(without_effect=True)
    return world


def test_a_removal_without_an_effect_is_an_error_and_the_next_one_removes(keeping: World) -> None:
    """
    The error names what is left; what is written down says that the deployment is still there.
    """
    deploy(keeping, "1")

    with pytest.raises(StillThere, match="is still there after it was deleted") as caught:
        keeping.target().remove()
    left = keeping.target().observe()
    keeping.accept_deletions(without_effect=False)
    keeping.target().remove()

    assert "run it again" in caught.value.fix
    assert left.facts or left.leftovers
    assert (None, None, ()) == runs(keeping)


def test_a_first_version_that_is_wrong_and_stays_is_not_returned_from(keeping: World) -> None:
    """
    It is not reported as taken back; the next run begins from what is left.
    """
    keeping.plant("1", "wrong")

    with pytest.raises(NotReturned, match="what was begun is still there") as caught:
        roll_out(keeping.target(), "1")
    left = keeping.target().observe()
    keeping.accept_deletions(without_effect=False)
    deploy(keeping, "2")

    assert "is still there after it was deleted" in caught.value.why
    assert left.facts or left.leftovers
    assert ("2", RUNNING, ()) == runs(keeping)


def test_a_version_that_was_taken_back_and_stays_is_named(keeping_beside: World) -> None:
    """
    The version before has all requests again, so the run has returned; the next one removes what is left.
    """
    world, tools = keeping_beside, tools_of_tests()
    deploy_first(world)
    world.plant("2", "wrong")
    target, wanted = world.target(), wanted_version("2")
    plan = rollout_plan(target, wanted)

    done = carry_out(plan, EXPECTED, RolloutChecks(unchanged=nothing, renew=nothing), tools)
    version, state, leftovers = runs(world)
    world.accept_deletions(without_effect=False)
    deploy(world, "3")

    assert (True, "1", RUNNING, 1) == (done.returned, version, state, len(leftovers))
    assert "is still there after it was deleted" in "".join(cast("KeptConsole", tools.console).lines)
    assert ("3", RUNNING, ()) == runs(world)


def test_a_version_that_was_replaced_and_stays_is_an_error(keeping_beside: World) -> None:
    """
    The new one has the traffic, and keeps it; the next run removes what is left.
    """
    world = keeping_beside
    deploy_first(world)
    target = begin(world.target(), wanted_version("2"))

    with pytest.raises(StillThere):
        target.settle()
    version, state, leftovers = runs(world)
    world.accept_deletions(without_effect=False)
    again = world.target()
    planned = again.plan(wanted_version("2"))
    again.settle()

    assert ("2", RUNNING, 1, ()) == (version, state, len(leftovers), planned)
    assert ("2", RUNNING, ()) == runs(world)


def deploy_first(world: World) -> None:
    """Deploy version 1 while deletions have an effect."""
    world.accept_deletions(without_effect=False)
    deploy(world, "1")
    world.accept_deletions(without_effect=True)


def test_a_removal_waits_until_a_late_deletion_is_carried_out() -> None:
    """
    It is written down as removed after that, and not before.
    """
    world = plugin_world()
    deploy(world, "1")
    states: list[str] = []

    class Late(KeptPlugin):
        def do(self, action: PluginAction, **more: Any) -> PluginResult:
            if action is PluginAction.FIND and world.notes.note is not None:
                states.append(world.notes.note.facts["state"])
                if len(states) == 5:
                    world.accept_deletions(without_effect=False)
                    super().do(PluginAction.DELETE)
            return super().do(action, **more)

    world.accept_deletions(without_effect=True)
    plugin = Late(world.kept, world.faults, world.configs)
    MlflowDeployment(options_of(world.settings), plugin, world.notes, tools_of_tests()).remove()

    assert [RUNNING] * 5 == states
    assert (None, None, ()) == runs(world)


@pytest.mark.parametrize(("looks", "waits"), [(1, []), (3, ["waiting until a is gone", "waiting until b is gone"])])
def test_what_is_left_is_shown_when_it_changes(looks: int, waits: list[str]) -> None:
    """
    Nothing is shown, and no time passes, if nothing is left at the first look.
    """
    tools = tools_of_tests()
    left: tuple[tuple[str, ...], ...] = (("a",), ("b",), ())
    steps = iter(left[3 - looks :])

    require_gone(replace(host_world().options, deadline_s=30), lambda: next(steps), tools)

    assert waits == [line.strip() for line in cast("KeptConsole", tools.console).lines]
