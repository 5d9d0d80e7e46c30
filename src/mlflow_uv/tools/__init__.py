"""The outside, one module per program."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from ..report import Voice
from ..surroundings import Surroundings
from .clock import Clock, SystemClock
from .docker import Docker
from .environments import Environments
from .git import Git
from .http import Http
from .mlflow import Mlflow
from .process import Runner, SystemRunner
from .records import Records
from .server import Servers
from .uv import Uv


@dataclass(frozen=True, kw_only=True, slots=True)
class Tools:
    """What a step may use of the outside."""

    voice: Voice
    surroundings: Surroundings
    runner: Runner
    clock: Clock
    uv: Uv
    environments: Environments
    git: Git
    mlflow: Mlflow
    docker: Docker
    servers: Servers
    http: Http
    records: Records


@contextmanager
def toolbox(
    surroundings: Surroundings, *, voice: Voice, uv: Path | None = None, runner: Runner | None = None
) -> Iterator[Tools]:
    """The real tools, over the real processes unless a test brings its own runner; what they keep open is closed."""
    runner = runner or SystemRunner()
    own = surroundings.python.parent / "uv"
    program = Uv(runner, variables=surroundings.variables, asked=uv, own=own if own.is_file() else None)
    tools = Tools(
        voice=voice,
        surroundings=surroundings,
        runner=runner,
        clock=SystemClock(),
        uv=program,
        environments=Environments(program, surroundings=surroundings, voice=voice),
        git=Git(runner, variables=surroundings.variables),
        mlflow=Mlflow(runner, surroundings=surroundings, hear=voice.foreign),
        docker=Docker(runner, variables=surroundings.variables, hear=voice.foreign),
        servers=Servers(runner, surroundings=surroundings),
        http=Http(),
        records=Records(surroundings),
    )
    try:
        yield tools
    finally:
        tools.mlflow.close()
