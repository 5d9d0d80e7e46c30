"""The containers that one run creates on a host, beside those of others."""

from typing import Any

import pytest

from mlflow_uv.command.errors import DeploymentBusy, PlanOutdated, ToolFailed
from mlflow_uv.ops.deploy.own_containers import OwnContainers
from mlflow_uv.tools.engines.deployed import ContainerSpec

from .worlds import KeptContainers, host_world, tools_of_tests


def own_containers(containers: KeptContainers) -> OwnContainers:
    """The containers of a new run."""
    return OwnContainers(containers, host_world().options, tools_of_tests())


def spec(part: str, **more: Any) -> ContainerSpec:
    """A container to create."""
    return ContainerSpec(part=part, image="sha256:1", facts={}, **more)


def test_of_two_runs_that_create_a_container_the_second_is_outdated() -> None:
    """
    Also where the engine returns the container that is there, as Compose does.
    """

    class Adopting(KeptContainers):
        def _created(self, spec: ContainerSpec) -> str:
            name = f"{self.project}-{spec.part}"
            return name if name in self.kept else super()._created(spec)

    for containers in (KeptContainers("prod"), Adopting("prod")):
        first, second = own_containers(containers), own_containers(containers)
        first.create(spec("blue"))

        with pytest.raises(PlanOutdated, match="created `mlflow-uv-prod-blue` first"):
            second.create(spec("blue"))

        (found,) = containers.all()
        assert (True, False) == (first.includes(found), second.includes(found))


def test_an_engine_that_cannot_create_a_container_is_an_error_of_its_own() -> None:
    """
    Nobody else created one.
    """

    class Full(KeptContainers):
        def _created(self, spec: ContainerSpec) -> str:
            raise ToolFailed(what="no space left on device", why=spec.part)

    with pytest.raises(ToolFailed, match="no space left"):
        own_containers(Full("prod")).create(spec("blue"))


@pytest.mark.parametrize("change", ["more", "less", "led"])
def test_what_changed_after_the_plan_ends_the_run_without_its_containers(change: str) -> None:
    """
    One more container, one that is gone, and a proxy that leads elsewhere.
    """
    containers = KeptContainers("prod")
    others, own = own_containers(containers), own_containers(containers)
    others.create(spec("proxy"))
    own.plan(containers.all())
    if change == "more":
        others.create(spec("green"))
    if change == "less":
        others.drop(containers.all(), grace_s=1)

    with pytest.raises(PlanOutdated, match="than when it was planned"):
        own.create_first(spec("blue"), lambda: change != "led")

    assert {"led": ["proxy"], "more": ["proxy", "green"], "less": []}[change] == [
        found.part for found in containers.all()
    ]


def test_what_the_plan_drops_is_not_missed() -> None:
    """
    A container that an interrupted run left is removed before the new one is created.
    """
    containers = KeptContainers("prod")
    others, own = own_containers(containers), own_containers(containers)
    for part in ("proxy", "green"):
        others.create(spec(part))
    own.plan(containers.all())
    own.drop([found for found in containers.all() if found.part == "green"], grace_s=1)

    own.create_first(spec("green"), lambda: True)

    assert [("proxy", False), ("green", True)] == [(found.part, own.made(found)) for found in containers.all()]


@pytest.mark.parametrize(("attempts", "created"), [(3, True), (1000, False)])
def test_another_run_that_creates_a_container_is_waited_for(attempts: int, created: bool) -> None:
    """
    It takes seconds; a run that was killed meanwhile keeps others out for longer than that.
    """

    class Busy(KeptContainers):
        left = attempts

        def _created(self, spec: ContainerSpec) -> str:
            self.left -= 1
            if self.left > 0:
                raise DeploymentBusy(what="another run changes the deployment")
            return super()._created(spec)

    containers = Busy("prod")
    try:
        own_containers(containers).create(spec("blue"))
    except DeploymentBusy:
        assert not created

    assert created is ("mlflow-uv-prod-blue" in containers.kept)
