"""Everything a step may use of the outside."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from ..report import Voice
from ..surroundings import Surroundings
from .attempts import Attempts
from .context import Contexts
from .engines import Engines
from .environments import Environments
from .locktools import LockTools, locktools
from .logins import Logins
from .mlflow import Mlflow
from .process import Runner
from .records import Records
from .registries import Registries
from .server import Servers
from .web import Web


@dataclass(frozen=True, kw_only=True, slots=True)
class Tools(LockTools):
    """What a step may use of the outside."""

    environments: Environments
    mlflow: Mlflow
    engines: Engines
    registries: Registries
    contexts: Contexts
    servers: Servers
    records: Records
    attempts: Attempts


@contextmanager
def toolbox(
    surroundings: Surroundings, *, voice: Voice, uv: Path | None = None, runner: Runner | None = None
) -> Iterator[Tools]:
    """The real tools, over the real processes unless a test brings its own runner; what they keep open is closed."""
    with locktools(surroundings, voice=voice, uv=uv, runner=runner) as basic:
        tools = Tools(
            voice=voice,
            surroundings=surroundings,
            runner=basic.runner,
            uv=basic.uv,
            git=basic.git,
            clock=basic.clock,
            environments=Environments(basic.uv, surroundings=surroundings, voice=voice),
            mlflow=Mlflow(basic.runner, surroundings=surroundings, hear=voice.foreign, say=voice.say),
            engines=Engines(basic.runner, variables=surroundings.variables, hear=voice.foreign),
            registries=Registries(
                Web(surroundings.variables), Logins(basic.runner, variables=surroundings.variables), basic.clock
            ),
            contexts=Contexts(basic.uv, surroundings=surroundings),
            servers=Servers(basic.runner, surroundings=surroundings),
            records=Records(surroundings),
            attempts=Attempts(surroundings),
        )
        try:
            yield tools
        finally:
            tools.mlflow.close()
