"""
Creates containers in the name of one run, and tells them from those that others create at the same time.

An engine creates a name for one run alone, so the first container of a run is its claim to the host.
"""

import secrets
from collections.abc import Callable, Iterable
from dataclasses import replace

from ...command.errors import DeploymentBusy, PlanOutdated, ToolFailed
from ...core.deploy.served_containers import DRAIN_S
from ...tools.engines.deployed import ContainerSpec, DeployedContainer, DeployedContainers
from ...tools.toolbox import Tools
from .removal import require_gone
from .target import VERSION, DeploymentOptions

_CREATES_S, _POLL_S = 60.0, 0.5


class OwnContainers:
    """The containers of a deployment that a run may change: those of its plan, and those that it creates."""

    def __init__(self, containers: DeployedContainers, options: DeploymentOptions, tools: Tools) -> None:
        self._containers = containers
        self._options = options
        self._tools = tools
        self._run = secrets.token_hex(8)
        self._planned: frozenset[str] = frozenset()

    def plan(self, found: Iterable[DeployedContainer]) -> None:
        """Take these containers as those of the plan."""
        self._planned = frozenset(container.id for container in found)

    def includes(self, container: DeployedContainer) -> bool:
        """Whether a container was there when it was planned, or this run created it."""
        return container.id in self._planned or self.made(container)

    def made(self, container: DeployedContainer) -> bool:
        """Whether this run created a container."""
        return container.run == self._run

    def create_first(self, spec: ContainerSpec, unchanged: Callable[[], bool]) -> str:
        """
        Create the first container of this run, beside those of the plan.

        `unchanged` says whether the proxy still leads where it did. If not, or if other containers are there than
        those of the plan, the new one is removed, and PlanOutdated is raised. Raises ToolFailed.
        """
        name, is_led = self.create(spec), unchanged()
        others = {container.id for container in self._containers.all() if not self.made(container)}
        if is_led and others == self._planned:
            return name
        self.drop(filter(self.made, self._containers.all()), grace_s=1)
        raise self._outdated("the proxy leads elsewhere, or other containers are there than when it was planned")

    def create(self, spec: ContainerSpec) -> str:
        """Create a container and return its name. Raises PlanOutdated if another run was faster, ToolFailed."""
        name, failure = "", None
        try:
            name = self._created(replace(spec, run=self._run))
        except ToolFailed as error:
            failure = error
        found = next((container for container in self._containers.all() if container.part == spec.part), None)
        if found is not None and not self.made(found):
            raise self._outdated(f"it created `{found.name}` first") from failure
        if failure is not None:
            raise failure
        return name

    def _created(self, spec: ContainerSpec) -> str:
        """Create a container once no other run creates one. Raises DeploymentBusy if one does for long."""
        clock = self._tools.clock
        until = clock.now_s() + _CREATES_S
        while True:
            try:
                return self._containers.create(spec)
            except DeploymentBusy:
                if clock.now_s() >= until:
                    raise
                clock.wait(_POLL_S)

    def start_again(self, container: DeployedContainer) -> None:
        """Start a container that ended. Raises ToolFailed, also for one that the engine starts no more."""
        if not container.startable:
            raise ToolFailed(
                what=f"`{container.name}` cannot be started again",
                why=f"{self._containers.title} lost it: it was killed together with its monitor",
                fix=f"deploy version {container.facts.get(VERSION, '')} again",
            )
        self._containers.start(container.name)

    def drop(self, leftovers: Iterable[DeployedContainer], *, grace_s: int) -> None:
        """Remove containers that get no new requests; they are none of the plan any more. Raises StillThere."""
        self._planned -= self._ended(leftovers, grace_s)

    def remove(self, containers: Iterable[DeployedContainer]) -> None:
        """Remove containers, and network and volume if no other one is there. Raises StillThere."""
        self._ended(containers, DRAIN_S)
        if not self._containers.all():
            self._containers.remove()

    def _ended(self, containers: Iterable[DeployedContainer], grace_s: int) -> frozenset[str]:
        """Stop and remove containers, one after the other, and wait until they are gone; returns their ids."""
        ended = []
        for container in containers:
            self._containers.stop(container, grace_s=grace_s)
            ended.append(container.id)

        def left() -> tuple[str, ...]:
            return tuple(f"the container `{found.name}`" for found in self._containers.all() if found.id in ended)

        if ended:
            require_gone(self._options, left, self._tools)
        return frozenset(ended)

    def _outdated(self, why: str) -> PlanOutdated:
        return PlanOutdated(
            what=f"another run changes the deployment `{self._options.name}` on this host",
            why=why,
            fix="run it again when the other one has ended, or give one of them another name in pyproject.toml",
        )
