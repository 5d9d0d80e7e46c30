"""
Contract: deployments to Kubernetes, KServe and Seldon Core in a real API server, by a real kubectl.

No kubelet and no controller runs: the status of what was applied is written by a script, and a port that is forwarded
leads to a server of this process. What the server validates, merges, owns, refuses and waits for is real.
"""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from mlflow_uv.command.errors import BadInput, ChainBroken, NotServing, PlanOutdated, ToolFailed
from mlflow_uv.core.deploy.running import RUNNING
from mlflow_uv.ops.deploy.removal import StillThere
from mlflow_uv.ops.deploy.target import TrafficSplit
from tests.unit.ops.deploy.test_target import begin
from tests.unit.ops.deploy.worlds import EXPECTED, digest_of, wanted_version

from .api_server import ApiServer, api_server, kubectl_program
from .cluster_worlds import FILES, SLOT, TARGETS, RealWorld, ScriptedControllers

pytestmark = pytest.mark.extended


@pytest.fixture(scope="module")
def kubectl(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The program."""
    return kubectl_program(tmp_path_factory.mktemp("kubectl"))


@pytest.fixture(scope="module")
def server(kubernetes_programs: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiServer]:
    """The server, started once."""
    with api_server(tmp_path_factory.mktemp("server"), *kubernetes_programs) as found:
        yield found


@pytest.fixture(params=TARGETS)
def world(request: pytest.FixtureRequest, server: ApiServer, kubectl: Path) -> Iterator[RealWorld]:
    """A namespace of its own for a kind of target."""
    namespace = f"n{abs(hash(request.node.name)) % 10**9}"
    server.ask("POST", "/api/v1/namespaces", {"metadata": {"name": namespace}})
    with ScriptedControllers(server, namespace) as controllers:
        yield RealWorld(request.param, controllers, kubectl)


def runs(world: RealWorld) -> tuple[str | None, str | None, tuple[str, ...]]:
    """What a new run sees: version, state, and what was left."""
    deployed = world.target().observe()
    return deployed.version, deployed.facts.get("state"), deployed.leftovers


def test_a_version_is_created_changed_and_removed(world: RealWorld) -> None:
    """
    A second run of the same version changes nothing, although the server added fields of its own.
    """
    begin(world.target(), wanted_version("1")).settle()
    first, again = runs(world), world.target().plan(wanted_version("1"))
    target = world.target()
    planned = [change.part for change in target.plan(wanted_version("2"))]
    begin(target, wanted_version("2")).settle()
    second = runs(world)
    world.target().remove()

    assert ("1", RUNNING, ()) == first
    identity = ["model digest", "files"] if world.kind == "seldon2" else ["image"]
    assert ((), ["version", *identity]) == (again, planned)
    assert ("2", RUNNING, ()) == second
    assert (None, None, ()) == runs(world)


def test_a_model_of_seldon_core_2_is_created_changed_returned_from_and_removed(
    server: ApiServer, kubectl: Path
) -> None:
    """
    A Model and an Experiment, which the server accepts with all of their fields.
    """
    server.ask("POST", "/api/v1/namespaces", {"metadata": {"name": "seldon2"}})
    with ScriptedControllers(server, "seldon2") as controllers:
        world = RealWorld("seldon2", controllers, kubectl)
        begin(world.target(), wanted_version("1")).settle()
        first, again = runs(world), world.target().plan(wanted_version("1"))
        shared = begin(world.target(), wanted_version("2"), up_to="ask")
        assert isinstance(shared, TrafficSplit)
        shared.share(20)
        experiment = json.loads(world.typed("get", "experiments.mlops.seldon.io", "prod", "--output=json"))
        begin(world.target(), wanted_version("3")).undo()
        returned = runs(world)
        begin(world.target(), wanted_version("3")).settle()
        third = runs(world)
        cats = world.target(model="cats")
        with pytest.raises(BadInput, match="runs the model `wine`"):
            cats.plan(wanted_version("2", model="cats"))
        world.target().remove()
        left = world.typed("get", "models.mlops.seldon.io,experiments.mlops.seldon.io", "--output=name")

    weights = {item["name"]: item["weight"] for item in experiment["spec"]["candidates"]}
    assert (("1", RUNNING, ()), ()) == (first, again)
    assert {"prod-blue": 80, "prod-green": 20} == weights
    assert (("1", RUNNING, ()), ("3", RUNNING, ()), "") == (returned, third, left)


def test_a_version_that_fails_is_undone(world: RealWorld) -> None:
    """
    One that never becomes ready, and one that answers wrong while it has a part of the requests.
    """
    begin(world.target(), wanted_version("1")).settle()
    world.plant("2", "silent")
    world.plant("3", "wrong")
    silent = world.target()
    silent_options = vars(silent)
    silent_options["_options"] = replace(silent_options["_options"], deadline_s=3)
    with pytest.raises(NotServing):
        begin(silent, wanted_version("2"), up_to="wait")
    # The version before is ready again within its own deadline.
    silent_options["_options"] = replace(silent_options["_options"], deadline_s=20)
    silent.undo()
    after_silent = runs(world)

    wrong = begin(world.target(), wanted_version("3"), up_to="wait")
    if isinstance(wrong, TrafficSplit):
        wrong.share(20)
    observed = wrong.ask_new(EXPECTED)
    wrong.undo()

    assert ("1", RUNNING, ()) == after_silent == runs(world)
    assert observed is not None
    assert ["answers-differ"] == [finding.rule for finding in observed.complaints]


def test_a_run_that_was_killed_is_finished_by_the_next(world: RealWorld) -> None:
    """
    Before its traffic moved; another version replaces what it left.
    """
    begin(world.target(), wanted_version("1")).settle()
    begin(world.target(), wanted_version("2"), up_to="ask")
    during = runs(world)

    begin(world.target(), wanted_version("3")).settle()

    assert ("1", True) == (during[0], bool(during[2]))
    assert ("3", RUNNING, ()) == runs(world)


LEADING = {"kserve": "inferenceservice", "seldon": "seldondeployment", "seldon2": "experiments.mlops.seldon.io"}


def test_what_a_finalizer_keeps_is_named_and_removed_once_it_is_gone(world: RealWorld) -> None:
    """
    The server accepts the deletion, and keeps the object for whoever set the finalizer.
    """
    begin(world.target(), wanted_version("1")).settle()
    kind = LEADING.get(world.kind, "service")

    def hold(finalizers: list[str] | None) -> None:
        patch = json.dumps({"metadata": {"finalizers": finalizers}})
        world.typed("patch", kind, "prod", "--type=merge", "--patch", patch)

    hold(["example.com/hold"])
    with pytest.raises(StillThere, match=r"`prod`, kept by example\.com/hold, is still there") as caught:
        world.target(deadline_s=2).remove()
    hold(None)
    world.target().remove()

    assert "accepted the deletion 2 s ago" in caught.value.why
    assert (None, None, ()) == runs(world)


def test_a_field_of_somebody_else_is_not_overwritten(world: RealWorld) -> None:
    """
    The server names the owner; what runs is not changed by the refusal.
    """
    begin(world.target(), wanted_version("1")).settle()
    kind = LEADING.get(world.kind, "service")
    found = json.loads(world.typed("get", kind, "prod", "--output=json"))
    of_kind: dict[str, dict[str, Any]] = {
        "service": {"selector": {SLOT: "grey"}},
        "inferenceservice": {"predictor": {"minReplicas": 3}},
        "seldondeployment": {"protocol": "seldon"},
        "experiments.mlops.seldon.io": {"candidates": [{"name": "prod-blue", "weight": 50}]},
    }
    theirs = of_kind[kind]
    manifest = {"apiVersion": found["apiVersion"], "kind": found["kind"], "metadata": {"name": "prod"}, "spec": theirs}
    argv = ("apply", "--server-side", "--force-conflicts", "--field-manager=somebody", "--validate=false")
    if kind == "seldondeployment":
        manifest["spec"] = {**theirs, "predictors": found["spec"]["predictors"]}
    world.typed(*argv, "--filename=-", stdin=json.dumps(manifest))

    with pytest.raises(PlanOutdated, match="somebody") as caught:
        begin(world.target(), wanted_version("2"))

    assert "conflict" in str(caught.value)


def test_a_deployment_that_another_model_made_after_the_plan_is_refused_by_the_server(world: RealWorld) -> None:
    """
    In the call that would change it: nothing was there when it was planned, and the last look is over.
    """
    cats = world.target(model="cats")
    cats.plan(wanted_version("2", model="cats"))
    begin(world.target(), wanted_version("1")).settle()
    before = world.target().observe()

    with pytest.raises(PlanOutdated, match="mlflow-uv/wine"):
        cats.apply(wanted_version("2", model="cats"))

    assert before == world.target().observe()


def test_a_deployment_of_another_registry_is_left_alone_until_it_is_taken_over(world: RealWorld) -> None:
    """
    The server keeps when the model of a part was registered; both registries have a model of this name.
    """
    here, there = "2026-01-01T00:00:00.000+00:00", "2026-01-01T00:00:00.001+00:00"
    begin(world.target(registered=here), wanted_version("1", registered=here)).settle()
    theirs, wanted = world.target(registered=there), wanted_version("1", registered=there)

    for refused in (lambda: theirs.plan(wanted), theirs.remove):
        with pytest.raises(BadInput, match="of another registry"):
            refused()
    left = runs(world)
    begin(world.target(registered=there, take_over=True), wanted).settle()

    assert ("1", RUNNING, ()) == left == runs(world)
    assert () == world.target(registered=there).plan(wanted)
    with pytest.raises(BadInput, match="of another registry"):
        world.target(registered=here).remove()


def test_a_quota_of_the_namespace_stops_a_version_and_leaves_nothing_of_it(world: RealWorld, server: ApiServer) -> None:
    """
    The server counts the objects of the kind; what ran before runs on.
    """
    counted = {
        "kubernetes": "count/deployments.apps",
        "kserve": "count/inferenceservices.serving.kserve.io",
        "seldon": "count/seldondeployments.machinelearning.seldon.io",
        "seldon2": "count/models.mlops.seldon.io",
    }[world.kind]
    one_for_each = world.kind in ("kubernetes", "seldon2")  # the others are changed in place
    if one_for_each:
        begin(world.target(), wanted_version("1")).settle()
    before, full = runs(world), {counted: str(int(one_for_each))}
    place = f"/api/v1/namespaces/{world.controllers.namespace}/resourcequotas"
    server.ask("POST", place, {"metadata": {"name": "full"}, "spec": {"hard": full}})
    server.ask("PATCH", f"{place}/full/status", {"status": {"hard": full, "used": full}})
    target = world.target()

    with pytest.raises(ToolFailed, match="exceeded quota: full"):
        begin(target, wanted_version("2"))
    target.undo()

    assert before == runs(world)


def test_a_login_that_may_not_deploy_changes_nothing(world: RealWorld, server: ApiServer) -> None:
    """
    The same for a token that the server does not know; the message has no token.
    """
    for token in (server.untrusted, "unknown-token"):
        with pytest.raises(ToolFailed) as caught:
            world.target(token).plan(wanted_version("1"))
        assert token not in str(caught.value)
    assert (None, None, ()) == runs(world)


def test_an_image_that_something_in_the_cluster_replaces_is_refused(world: RealWorld) -> None:
    """
    As a webhook would between two requests; the record says another one.
    """
    target = world.target()
    target.plan(wanted_version("1"))
    cluster = vars(target)["_cluster"]

    class Replacing:
        def __getattr__(self, name: str) -> Any:
            return getattr(cluster, name)

        def apply(self, objects: Any) -> None:
            text = json.dumps(list(objects)).replace(digest_of("1"), digest_of("9")).replace(f"{FILES}1", f"{FILES}9")
            cluster.apply(json.loads(text))

    vars(target)["_cluster"] = Replacing()
    with pytest.raises(ChainBroken):
        target.apply(wanted_version("1"))


def test_a_misspelt_field_is_refused(world: RealWorld) -> None:
    """
    So what the manifests have, the server knows.
    """
    cluster = vars(world.target())["_cluster"]
    service = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "x"},
               "spec": {"selectors": {}, "ports": [{"port": 80, "protocol": "TCP"}]}}  # fmt: skip

    with pytest.raises(ToolFailed, match="selectors"):
        cluster.apply((service,))
