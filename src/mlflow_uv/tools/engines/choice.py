"""Chooses the container engine for an `engine` input."""

from collections.abc import Callable, Mapping

from ...command.errors import NoEngine
from ...command.inputs import EngineChoice as Choice
from ..system.process import Runner
from .docker import Docker
from .engine import Engine
from .podman import Podman

_WHERE_DOCKER_IS = ("DOCKER_HOST", "DOCKER_CONTEXT")


class Engines:
    """The engines that we know, in the order in which they are tried."""

    def __init__(self, runner: Runner, *, variables: Mapping[str, str], hear: Callable[[str], None]) -> None:
        docker, podman = (kind(runner, variables=variables, hear=hear) for kind in (Docker, Podman))
        self._known: tuple[Engine, ...] = (docker, podman)
        # Who says where Docker is means Docker, and would not notice that another engine took its place.
        self._tried = (docker,) if any(map(variables.get, _WHERE_DOCKER_IS)) else self._known

    def named(self, name: str) -> Engine:
        """One by its program: the one that made an image also knows it. The first where no name was recorded."""
        return next((one for one in self._known if one.name == name), self._known[0])

    def answering(self, choice: Choice) -> Engine:
        """The first of those chosen that answers. Raises NoEngine with every reason."""
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

    def described(self) -> str:
        """Each with its version. Raises NoEngine where none answers."""
        self.answering(Choice.ANY)
        return ", ".join(filter(None, map(_described, self._known)))


def _described(engine: Engine) -> str:
    try:
        return f"{engine.name} {engine.version()}"
    except NoEngine:
        return ""
