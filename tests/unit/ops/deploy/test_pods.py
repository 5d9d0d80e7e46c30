"""What every kind of target in a cluster knows of its pods."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from mlflow_uv.core.security.serve_env import ServeVariables
from mlflow_uv.ops.deploy.pods import condition_of, facts_in, is_ready

from .inference_platforms import KServeWorld, SeldonWorld, kserve_world, seldon_world
from .test_target import begin, deploy
from .worlds import cluster_world, wanted_version

SECRET = replace(wanted_version("1"), serve_env=ServeVariables({"API_KEY": "corked-bottle"}))


def test_a_secret_that_changed_is_a_difference_without_its_values() -> None:
    """
    Its revision says so; where it cannot be read, only its name is compared.
    """
    world = cluster_world(secret="wine-variables")
    world.cluster.revisions["secret/wine-variables"] = "5"
    begin(world.target(), SECRET).settle()
    same = world.target().plan(SECRET)

    world.cluster.revisions["secret/wine-variables"] = "6"

    assert () == same
    (change,) = world.target().plan(SECRET)
    assert ("wine-variables, revision 5", "wine-variables, revision 6") == (change.now, change.then)
    assert "bottle" not in repr(world.cluster.objects)


@pytest.mark.parametrize("text", ["[]", "{", "null", "7"])
def test_an_annotation_that_somebody_else_wrote_has_no_facts(text: str) -> None:
    """
    Nor has an object without annotations.
    """
    assert ({}, {}) == (facts_in({"mlflow-uv.deployment-facts": text}), facts_in(None))


def test_a_pod_that_ends_gets_no_request() -> None:
    """
    It is still ready then.
    """
    ready = {"metadata": {"name": "a"}, "status": {"conditions": [{"type": "Ready", "status": "True"}]}}
    ending = {**ready, "metadata": {"name": "a", "deletionTimestamp": "now"}}

    assert (True, False, False) == (is_ready(ready), is_ready(ending), is_ready({"metadata": {}, "status": None}))
    assert ("", "") == condition_of(ready, "Other")


def kserve_container(objects: Any) -> Any:
    """The container of the model in the object of KServe."""
    return objects["inferenceservice", "prod"]["spec"]["predictor"]["containers"][0]


def seldon_container(objects: Any) -> Any:
    """The container of the model in the object of Seldon Core."""
    return objects["seldondeployment", "prod"]["spec"]["predictors"][0]["componentSpecs"][0]["spec"]["containers"][0]


@pytest.mark.parametrize(
    ("platform", "container_in"), [(kserve_world, kserve_container), (seldon_world, seldon_container)]
)
def test_what_somebody_changed_in_the_cluster_is_a_difference_and_what_others_add_is_none(
    platform: Callable[[], KServeWorld | SeldonWorld], container_in: Callable[[Any], Any]
) -> None:
    """
    The annotation still says what was deployed.
    """
    world = platform()
    deploy(world, "1")
    container = container_in(world.cluster.objects)
    container["env"].append({"name": "ADDED", "value": "by the platform"})
    unchanged = world.target().plan(wanted_version("1"))

    del container["env"][0]
    container["resources"]["limits"]["memory"] = "512Mi"
    planned = {change.part: (change.now, change.then) for change in world.target().plan(wanted_version("1"))}

    memory, limit = ("512 MiB, 1024 MiB requested", "1024 MiB"), ("none", "60 s")
    assert ((), {"memory": memory, "request timeout": limit}) == (unchanged, planned)
