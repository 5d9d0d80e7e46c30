"""KServe: revisions, the share of the newest one, and the manifest to return to."""

from typing import Any

import pytest

from mlflow_uv.command.errors import NotServing, ToolFailed
from mlflow_uv.ops.deploy.kserve import KServeService

from .inference_platforms import KServeWorld, kserve_world
from .test_target import begin, deploy
from .worlds import wanted_version


def shared(world: KServeWorld) -> KServeService:
    """The run that gives version 2 a fifth of the requests of version 1."""
    deploy(world, "1")
    world.cluster.seen_by_clients.clear()
    target = begin(world.target(), wanted_version("2"), up_to="ask")
    assert isinstance(target, KServeService)
    target.share(20)
    return target


def images(world: KServeWorld) -> list[tuple[str, int]]:
    """The versions that had requests, in turn, with their shares."""
    return [
        (str(int(world.cluster.revisions_of[name].removeprefix("sha256:"))), part)
        for name, part in world.cluster.seen_by_clients
    ]


def test_a_new_revision_gets_no_request_before_its_share() -> None:
    """
    It is asked in its own pods before.
    """
    world = kserve_world()

    target = shared(world)
    target.shift()

    assert [("2", 0), ("1", 100), ("2", 20), ("1", 80), ("2", 100)] == images(world)


def test_a_return_gives_the_requests_to_the_revision_before_at_once() -> None:
    """
    A new revision like it follows; at no time the one that is undone has a request again.
    """
    world = kserve_world()
    target = shared(world)
    world.cluster.seen_by_clients.clear()

    target.undo()

    assert {"1"} == {version for version, part in images(world) if part}
    assert ("1", ()) == (world.target().observe().version, world.target().observe().leftovers)


def test_what_ran_before_is_kept_until_the_deployment_has_settled() -> None:
    """
    Another run returns to it, too, where this one was killed after the traffic moved.
    """
    world = kserve_world()
    deploy(world, "1")
    begin(world.target(), wanted_version("2"))
    kept = [name for kind, name in world.cluster.objects if kind == "configmap"]

    target = world.target()
    assert () == target.plan(wanted_version("2"))
    target.undo()

    assert ["prod-before"] == kept
    assert "1" == world.target().observe().version
    assert [("inferenceservice", "prod")] == list(world.cluster.objects)


def test_a_mode_that_splits_no_requests_is_an_error() -> None:
    """
    Without Knative, KServe ignores the share.
    """
    world = kserve_world()
    target = shared(world)
    apply = world.cluster.apply

    def without_knative(objects: Any) -> None:
        apply(objects)
        service = world.cluster.objects["inferenceservice", "prod"]
        service["status"]["components"]["predictor"]["traffic"] = []

    vars(world.cluster)["apply"] = without_knative
    with pytest.raises(ToolFailed, match="does not move the requests"):
        target.share(50)


def test_a_model_that_kserve_cannot_load_is_not_waited_for() -> None:
    """
    KServe says why.
    """
    world = kserve_world()
    world.plant("1", "silent")
    target = begin(world.target(), wanted_version("1"), up_to="apply")
    failure = {"reason": "ModelLoadFailed", "message": "no space"}
    status = world.cluster.objects["inferenceservice", "prod"]["status"]
    status["modelStatus"] = {"transitionStatus": "BlockedByFailedLoad", "lastFailureInfo": failure}

    with pytest.raises(NotServing, match="ModelLoadFailed no space"):
        target.wait()


def test_the_endpoint_is_asked_where_the_settings_say() -> None:
    """
    Otherwise through the API server, and the address that is recorded is KServe's.
    """
    own, public = kserve_world(), kserve_world(url="https://models.example/prod")
    for world in (own, public):
        deploy(world, "1")

    with own.target().live() as inner, public.target().live() as outer:
        assert (True, "https://models.example/prod") == (str(inner).startswith("http://127.0.0.1:"), outer)
    assert ["http://prod.models.example", "https://models.example/prod"] == [
        world.target().observe().endpoint for world in (own, public)
    ]
