"""One endpoint with two variants: returns, platforms that change or fail, and endpoints of somebody else."""

from dataclasses import replace
from typing import Any

import pytest

from mlflow_uv.command.errors import BadInput, NotReturned, NotServing, ToolFailed
from mlflow_uv.core.deploy.canary import NO_TRAFFIC
from mlflow_uv.core.deploy.running import RUNNING
from mlflow_uv.core.security.serve_env import ServeVariables
from mlflow_uv.ops.deploy.shared_endpoint import EndpointVariant, PlatformEndpoint
from mlflow_uv.ops.deploy.target import TrafficSplit

from .platforms import DIVIDED, LOGINS, PLATFORMS
from .test_target import begin, deploy, roll_out, runs
from .worlds import World, wanted_version


@pytest.fixture(params=PLATFORMS)
def world(request: pytest.FixtureRequest) -> World:
    """A platform."""
    return PLATFORMS[request.param]()


@pytest.fixture(params=DIVIDED)
def divided(request: pytest.FixtureRequest) -> World:
    """A platform that divides the traffic."""
    return DIVIDED[request.param]()


def test_a_right_version_is_asked_and_stays(world: World) -> None:
    """
    Its answers are those of the endpoint that clients ask.
    """
    deploy(world, "1")

    target = world.target()
    done = roll_out(target, "2")
    target.settle()

    assert (False, 64) == (done.returned, len(done.answers))
    assert ("2", RUNNING, ()) == runs(world)


def test_a_wrong_version_is_taken_back_and_a_first_one_removed(world: World) -> None:
    """
    What ran before runs, or nothing.
    """
    world.plant("2", "wrong")

    first = roll_out(world.target(), "2")
    nothing_runs = runs(world)
    deploy(world, "1")
    second = roll_out(world.target(), "2")

    assert [["answers-differ"], ["answers-differ"]] == [[f.rule for f in done.findings] for done in (first, second)]
    assert (True, True) == (first.returned, second.returned)
    assert (None, None, ()) == nothing_runs
    assert ("1", RUNNING, ()) == runs(world)


def test_a_run_that_was_killed_with_the_traffic_on_a_wrong_version_is_undone_by_the_next(world: World) -> None:
    """
    That one sees no change to make, asks the version, and leads back to the one that ran before.
    """
    deploy(world, "1")
    world.plant("2", "wrong")
    begin(world.target(), wanted_version("2"))

    done = roll_out(world.target(), "2", undoable=True)

    assert (True, ("1", RUNNING, ())) == (done.returned, runs(world))


def test_a_first_deployment_that_was_killed_is_finished(world: World) -> None:
    """
    The variant that the platform made meanwhile is asked, and not made again.
    """
    begin(world.target(), wanted_version("1"), up_to="apply")

    finished = roll_out(world.target(), "1", undoable=True)

    assert (False, ("1", RUNNING, ())) == (finished.returned, runs(world))


def test_a_wrong_version_that_runs_alone_is_not_removed_in_doubt(world: World) -> None:
    """
    A killed run may have removed what ran before it, so the error says that nothing is left to return to.
    """
    deploy(world, "1")
    world.plant("1", "wrong")

    with pytest.raises(NotReturned, match="there is nothing to return to"):
        roll_out(world.target(), "1", undoable=True)

    assert "1" == runs(world)[0]


def test_a_first_version_that_never_starts_leaves_nothing(world: World) -> None:
    """
    The error says what the platform says.
    """
    world.plant("1", "ends")

    with pytest.raises(NotServing, match="not ready"):
        roll_out(world.target(), "1")

    assert (None, None, ()) == runs(world)


def test_a_first_deployment_after_one_that_failed_and_was_killed_begins_anew(world: World) -> None:
    """
    An endpoint that never ran is deleted.
    """
    world.plant("1", "ends")
    begin(world.target(), wanted_version("1"), up_to="apply")

    deploy(world, "2")

    assert ("2", RUNNING, ()) == runs(world)


def test_a_version_that_is_gone_cannot_be_returned_to(world: World) -> None:
    """
    Somebody deleted the endpoint in the middle: the error says so, with its own exit code.
    """
    deploy(world, "1")
    target = world.target()

    def lost() -> None:
        world.target().remove()
        raise ToolFailed(what="it is gone")

    calls: list[None] = []

    def second() -> None:
        calls.append(None)
        if len(calls) == 2:
            lost()

    with pytest.raises(NotReturned, match="it is gone"):
        roll_out(target, "2", second)


def test_a_canary_gets_its_share_and_then_everything(divided: World) -> None:
    """
    A run that was killed meanwhile is seen, and the next one ends the split, whichever version it deploys.
    """
    deploy(divided, "1")
    states = []
    for version in ("1", "2"):
        target = begin(divided.target(), wanted_version("2"), up_to="ask")
        assert isinstance(target, TrafficSplit)
        target.share(10)
        states.append((runs(divided)[:2], target.served()))
        again = divided.target()
        changed = bool(again.plan(wanted_version(version)))
        begin(again, wanted_version(version))
        again.settle()
        assert (True, (version, RUNNING, ())) == (changed, runs(divided))

    assert [(("1", "90 % of the traffic"), NO_TRAFFIC)] * 2 == states


def test_a_canary_that_is_stopped_is_undone(divided: World) -> None:
    """
    The version before has all the traffic again.
    """
    deploy(divided, "1")
    target = begin(divided.target(), wanted_version("2"), up_to="ask")
    assert isinstance(target, TrafficSplit)
    target.share(50)

    target.undo()

    assert ("1", RUNNING, ()) == runs(divided)


def test_the_active_variant_is_the_one_with_the_traffic() -> None:
    """
    Without traffic there is none, whatever there is.
    """
    idle, most, some = (EndpointVariant(facts={}, share=share) for share in (0, 90, 10))

    def active(**variants: EndpointVariant) -> str | None:
        return PlatformEndpoint(variants=variants, address="").active

    assert ("green", None, None) == (active(blue=some, green=most), active(blue=idle), active())
    assert not idle.ready


def test_an_endpoint_that_another_model_made_at_the_last_moment_is_not_deleted(world: World) -> None:
    """
    It is seen when the version is created; nothing was begun that a return could undo.
    """
    target, wanted = world.target(model="cats"), wanted_version("2", model="cats")
    target.plan(wanted)
    deploy(world, "1")

    with pytest.raises(BadInput, match="runs the model `wine`"):
        target.apply(wanted)
    target.undo()

    assert ("1", RUNNING, ()) == runs(world)


VALUE = "good-morning-value"


@pytest.mark.parametrize("kind", PLATFORMS)
def test_no_login_and_no_value_of_a_variable_is_in_what_a_run_says(kind: str) -> None:
    """
    Of a version that is right, one that is wrong, and one that does not start; names of variables are said.
    """
    settings = {"secret_scope": "wine"} if kind == "databricks" else {"plain_variables": True}
    world: Any = {**PLATFORMS}[kind](**settings)
    world.plant("2", "wrong")
    world.plant("3", "ends")
    printed: list[object] = []
    for version in ("1", "2", "3"):
        target = world.target()
        wanted = replace(wanted_version(version), serve_env=ServeVariables({"GREETING": VALUE}))
        printed.append(target.plan(wanted))
        try:
            done = roll_out(target, wanted)
            if not done.returned:
                target.settle()
            printed.append(done)
        except NotServing as error:
            printed.append(error.text)
        printed += [target.observe(), target._tools.console.lines]

    text = repr(printed)
    assert ("GREETING" in text or kind == "databricks", "answers-differ" in text, "not ready" in text) == (True,) * 3
    assert [] == [secret for secret in (VALUE, *LOGINS) if secret in text]
