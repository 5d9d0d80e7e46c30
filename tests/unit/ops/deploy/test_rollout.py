"""The phases of a deployment, with a real endpoint: what is undone, what is not, and what is said."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from types import SimpleNamespace
from typing import Any, cast

import pytest

from mlflow_uv.command.errors import Cancelled, DeploymentBusy, NotReturned, NotServing, PlanOutdated, ToolFailed
from mlflow_uv.ops.deploy.rollout import RolloutChecks, RolloutPlan, carry_out
from mlflow_uv.ops.deploy.target import DeploymentTarget
from mlflow_uv.tools.system.web import Web
from mlflow_uv.tools.toolbox import Tools

from .test_target import deploy
from .worlds import EXPECTED, HostWorld, host_world, tools_of_tests, wanted_version


@contextmanager
def endpoint(factor: int) -> Iterator[int]:
    """The port of a server that multiplies."""

    class Model(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            try:
                status, answer = 200, {"predictions": [json.loads(body)["inputs"][0] * factor]}
            except ValueError:
                status, answer = 400, {"message": "malformed"}  # type: ignore[dict-item]
            text = json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        def log_message(self, *_: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Model) as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server.server_address[1]
        finally:
            server.shutdown()
            thread.join()


def nothing() -> None:
    """A check that finds nothing."""


def raising(error: BaseException, *, at: int = 1) -> Any:
    """A check that raises when it is called for the given time."""
    calls: list[None] = []

    def check() -> None:
        calls.append(None)
        if len(calls) == at:
            raise error

    return check


CHECKS = RolloutChecks(unchanged=nothing, renew=nothing)


def tools() -> Tools:
    """The tools of tests, and the web."""
    return cast("Tools", SimpleNamespace(**vars(tools_of_tests()), web=Web({})))


def plan_of(target: DeploymentTarget, version: str, **more: Any) -> RolloutPlan:
    """The plan to deploy a version."""
    wanted = wanted_version(version)
    changes = target.plan(wanted)
    return RolloutPlan(target=target, wanted=wanted, before=target.observe(), changes=changes, **more)


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
    with endpoint(2) as port:
        world = deployed(port)

        done = carry_out(plan_of(world.target(), "2"), EXPECTED, CHECKS, tools())

    assert ((), f"http://127.0.0.1:{port}", False) == (done.findings, done.endpoint, done.returned)
    assert 64 == len(done.answers)
    assert ("2", ()) == runs(world)


def test_a_version_that_is_only_wrong_where_clients_ask_it_is_taken_back() -> None:
    """
    The container answers right, the endpoint does not.
    """
    with endpoint(3) as port:
        world = deployed(port)

        done = carry_out(plan_of(world.target(), "2"), EXPECTED, CHECKS, tools())

    assert (["answers-differ"], True) == ([finding.rule for finding in done.findings], done.returned)
    assert ("1", ()) == runs(world)


def test_a_wrong_version_gets_no_traffic() -> None:
    """
    The proxy got no signal.
    """
    with endpoint(2) as port:
        world = deployed(port)
        world.plant("2", "wrong")

        done = carry_out(plan_of(world.target(), "2"), EXPECTED, CHECKS, tools())

    assert (True, "", []) == (done.returned, done.endpoint, world.containers.signals)
    assert ("1", ()) == runs(world)


def test_an_endpoint_that_does_not_respond_is_undone() -> None:
    """
    What ran before has the traffic again, and the error says why.
    """
    world = deployed(1)

    with pytest.raises(NotServing, match="does not respond"):
        carry_out(plan_of(world.target(), "2"), EXPECTED, CHECKS, tools())

    assert ("1", ()) == runs(world)


def test_an_alias_that_moved_stops_it_before_anything_is_changed() -> None:
    """
    It is read again right before the first change, and once more before the traffic moves.
    """
    with endpoint(2) as port:
        for time in (1, 2):
            world = deployed(port)
            before = dict(world.containers.kept)
            checks = replace(CHECKS, unchanged=raising(PlanOutdated(what="it moved"), at=time))

            with pytest.raises(PlanOutdated):
                carry_out(plan_of(world.target(), "2"), EXPECTED, checks, tools())

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
            carry_out(plan_of(world.target(), "2"), EXPECTED, checks, tools())

        assert before == runs(world)


def test_a_run_that_lost_its_claim_touches_nothing_more() -> None:
    """
    The run that has it now finds what this one left, and must not be disturbed.
    """
    world = deployed(1)
    checks = replace(CHECKS, renew=raising(DeploymentBusy(what="another run"), at=2))

    with pytest.raises(DeploymentBusy):
        carry_out(plan_of(world.target(), "2"), EXPECTED, checks, tools())

    assert ("1", ("mlflow-uv-prod-green",)) == runs(world)


def test_a_failure_to_return_is_an_error_of_its_own() -> None:
    """
    It names both reasons, and the command that deploys the version before.
    """
    world = deployed(1)
    target = world.target()
    plan = plan_of(target, "2")

    def lost() -> None:
        world.containers.kept.clear()
        raise ToolFailed(what="the host is gone")

    with pytest.raises(NotReturned) as caught:
        carry_out(plan, EXPECTED, replace(CHECKS, renew=_second(lost)), tools())

    assert "the host is gone" in caught.value.why
    assert "models:/wine/1" in caught.value.fix


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
    with endpoint(3) as port:
        world = deployed(port)
        target = world.target()
        target.plan(wanted_version("2"))
        target.apply(wanted_version("2"))
        target.shift()
        plan = plan_of(world.target(), "2", undoable=undoable)

        done = carry_out(plan, EXPECTED, CHECKS, tools())

    assert ((), undoable, True) == (plan.changes, done.returned, bool(done.findings))
    assert version == world.target().observe().version
