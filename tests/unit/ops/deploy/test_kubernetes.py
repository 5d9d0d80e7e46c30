"""Kubernetes: the Service, the colours, the reasons of pods, and what a cluster cannot run."""

from dataclasses import replace
from types import SimpleNamespace
from typing import Any, cast

import pytest

from mlflow_uv.command.errors import BadInput, NotServing
from mlflow_uv.core.release.record import Record
from mlflow_uv.core.security.serve_env import ServeVariables

from .test_target import begin, deploy
from .worlds import cluster_world, wanted_version


def test_the_service_is_applied_last_and_its_old_manifest_to_return() -> None:
    """
    The new pods are asked before; nothing but the Service is applied when it returns.
    """
    world = cluster_world(max_replicas=4)
    deploy(world, "1")
    world.cluster.applied.clear()
    target = begin(world.target(), wanted_version("2"))

    target.undo()

    assert [
        *("Deployment/prod-green", "PodDisruptionBudget/prod-green", "HorizontalPodAutoscaler/prod-green"),
        *("Service/prod", "Service/prod"),
    ] == world.cluster.applied
    assert {"prod-blue", "prod"} == {name for _, name in world.cluster.objects}


@pytest.mark.parametrize("version", ["2", "3"])
def test_an_autoscaler_that_an_interrupted_removal_left_does_not_scale_the_next_pods(version: str) -> None:
    """
    Its Deployment is gone already; the pods that get its colour have a fixed number, and none is left of the other.
    """
    scaled, world = cluster_world(max_replicas=4), cluster_world()
    world.cluster = scaled.cluster
    deploy(scaled, "1")
    begin(scaled.target(), wanted_version("2"))
    del world.cluster.objects["deployment", "prod-blue"]
    left = world.target().observe().leftovers

    deploy(world, version)

    names = {name for kind, name in world.cluster.objects if kind == "horizontalpodautoscaler"}
    assert (("prod-blue",), set()) == (left, names)


def test_an_autoscaler_without_pods_is_removed_when_a_deployment_has_settled() -> None:
    """
    Nothing else of its colour is there.
    """
    world = cluster_world(max_replicas=4)
    deploy(world, "1")
    begin(world.target(), wanted_version("2"), up_to="apply")
    del world.cluster.objects["deployment", "prod-green"]

    world.target().settle()

    assert {"prod-blue", "prod"} == {name for _, name in world.cluster.objects}


def test_pods_that_will_not_start_are_not_waited_for() -> None:
    """
    The reason of the container is that of the error.
    """
    world = cluster_world()
    world.plant("1", "ends")

    with pytest.raises(NotServing, match="pod-1: CrashLoopBackOff back-off 10s"):
        begin(world.target(), wanted_version("1"), up_to="wait")


def test_an_image_without_a_registry_and_variables_without_a_secret_are_refused_by_the_plan() -> None:
    """
    Nodes pull by digest, and a manifest has no values.
    """
    wanted = wanted_version("1")
    assert wanted.record.image is not None
    record = SimpleNamespace(image=replace(wanted.record.image, digest=""))
    unpushed = replace(wanted, record=cast("Record", record))
    secret = replace(wanted, serve_env=ServeVariables({"API_KEY": "x"}))

    for refused, message in ((unpushed, "in no registry"), (secret, "has no `secret`")):
        with pytest.raises(BadInput, match=message):
            cluster_world().target().plan(refused)


def test_the_endpoint_is_the_name_of_the_service_in_the_cluster() -> None:
    """
    It is asked through the API server; the address that is recorded is that of its clients.
    """
    world = cluster_world(namespace="models", port=8080)
    deploy(world, "1")

    with world.target().live() as address:
        assert str(address).startswith("http://127.0.0.1:")
    assert "http://prod.models.svc:8080" == world.target().observe().endpoint


GREETING = ServeVariables({"GREETING": "good morning"})
TEMPLATE = ("deployment", "prod-blue", "spec", "template", "spec", "containers", 0)
CHANGED: dict[str, tuple[tuple[Any, ...], Any, str, str]] = {
    "memory": ((*TEMPLATE, "resources", "limits", "memory"), "1Gi", "1024 MiB, 2048 MiB requested", "2048 MiB"),
    "cpus": ((*TEMPLATE, "resources", "requests", "cpu"), "100m", "0.1", "0.5"),
    "request timeout": ((*TEMPLATE, "env", 0, "value"), "5", "5 s", "60 s"),
    "variables": ((*TEMPLATE, "env", 1, "name"), "GREETINGS", "GREETINGS from GREETING", "GREETING"),
    "variables from": (
        (*TEMPLATE, "env", 1, "valueFrom", "secretKeyRef", "name"), "other", "other", "wine-variables, revision 5",
    ),
    "server settings": ((*TEMPLATE, "env", 1), {"name": "FAST", "value": "1"}, "FAST (values ", "nothing"),
    "started by": ((*TEMPLATE, "command"), ["sleep"], "command of the container", "nothing"),
    "image": ((*TEMPLATE, "image"), "registry.example/other@sha256:1", "registry.example/other@sha256:1", ""),
    "pods": (("horizontalpodautoscaler", "prod-blue", "spec", "maxReplicas"), 9, "2 to 9", "2 to 4"),
}  # fmt: skip


@pytest.mark.parametrize("part", CHANGED)
def test_what_somebody_changed_in_the_cluster_is_a_difference_and_is_put_right(part: str) -> None:
    """
    The annotation still says what was deployed; the objects are compared, in whichever unit the cluster has them.
    """
    (kind, name, *place), value, now, then = CHANGED[part]
    world = cluster_world(max_replicas=4, memory=2048, secret="wine-variables")
    world.cluster.revisions["secret/wine-variables"] = "5"
    wanted = replace(wanted_version("1"), serve_env=GREETING)
    begin(world.target(), wanted).settle()
    found: Any = world.cluster.objects["deployment", "prod-blue"]["spec"]["template"]["spec"]["containers"][0]
    found["resources"] = {"requests": {"cpu": "500m", "memory": "2Gi"}, "limits": {"memory": "2Gi"}}
    unchanged = world.target().plan(wanted)
    found = world.cluster.objects[kind, name]
    for step in place[:-1]:
        found = found[step]
    found[place[-1]] = value

    planned = {change.part: (change.now, change.then) for change in world.target().plan(wanted)}
    target = begin(world.target(), wanted)
    target.settle()

    assert ((), True, then or wanted.address) == (unchanged, planned[part][0].startswith(now), planned[part][1])
    assert () == world.target().plan(wanted)
    assert "good morning" not in repr(planned)


def test_attestations_that_are_gone_are_a_difference() -> None:
    """
    Without them the server of an image that verifies its model does not start again.
    """
    world = cluster_world()
    wanted = replace(wanted_version("1"), attestations='{"a": 1}')
    begin(world.target(), wanted).settle()
    unchanged = world.target().plan(wanted)

    del world.cluster.objects["deployment", "prod-blue"]["spec"]["template"]["spec"]["containers"][0]["env"][1]

    (change,) = world.target().plan(wanted)
    assert ((), "server settings", "nothing") == (unchanged, change.part, change.now)
