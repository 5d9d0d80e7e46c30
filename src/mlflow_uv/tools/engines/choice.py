"""Chooses the container engine for an `engine` input."""

from collections.abc import Callable, Mapping
from contextlib import suppress

from ...command.errors import NoEngine
from ...command.inputs import EngineChoice as Choice
from ..system.process import Runner
from .deployed import DeployedContainers
from .docker import Docker
from .engine import Engine
from .podman import Podman

_DOCKER_ADDRESS = ("DOCKER_HOST", "DOCKER_CONTEXT")


class Engines:
    """The supported engines, in the order in which they are tried."""

    def __init__(self, runner: Runner, *, variables: Mapping[str, str], on_line: Callable[[str], None]) -> None:
        docker, podman = (kind(runner, variables=variables, on_line=on_line) for kind in (Docker, Podman))
        self._clients = (docker, podman)
        self._known: tuple[Engine, ...] = self._clients
        # A caller that sets the address of Docker means Docker, and must not silently get another engine.
        self._tried = (docker,) if any(map(variables.get, _DOCKER_ADDRESS)) else self._known

    def named(self, name: str) -> Engine:
        """
        The engine with this program name; only the engine that built an image has it. Docker for an unknown name.

        No engine built an image that was composed without one: the first that answers is returned for an empty name.
        """
        if not name:
            with suppress(NoEngine):
                return self.available(Choice.ANY)
        return next((engine for engine in self._known if engine.name == name), self._known[0])

    def deployed(self, kind: type[DeployedContainers], deployment: str) -> DeployedContainers:
        """The containers of a deployment. Raises NoEngine if its engine does not answer."""
        (client,) = (client for client in self._clients if client.name == kind.engine)
        client.version()
        return kind(client, deployment)

    def available(self, choice: Choice) -> Engine:
        """The first available engine of a choice. Raises NoEngine with the reason of each engine."""
        chosen = [self.named(choice.value)] if choice in (Choice.DOCKER, Choice.PODMAN) else self._tried
        reasons = []
        for engine in chosen:
            try:
                engine.version()
            except NoEngine as error:
                reasons.append(error)
            else:
                return engine
        what = reasons[0].what if len(reasons) == 1 else "no container engine answers"
        raise NoEngine(what=what, why="; ".join(error.why for error in reasons), fix=reasons[0].fix)

    def answering(self, choice: Choice) -> Engine | None:
        """The first available engine of a choice; None if the choice is `none`, or if no engine answers."""
        with suppress(NoEngine):
            return None if choice is Choice.NONE else self.available(choice)
        return None

    def described(self) -> str:
        """The available engines with their versions. Raises NoEngine if there is none."""
        self.available(Choice.ANY)
        return ", ".join(filter(None, map(_described, self._known)))


def _described(engine: Engine) -> str:
    try:
        return f"{engine.name} {engine.version()}"
    except NoEngine:
        return ""
