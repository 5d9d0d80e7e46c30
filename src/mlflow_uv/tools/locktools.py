"""What do the steps need that ask about a lock and nothing else? Hooks load these alone, and so start fast."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from ..report import Voice
from ..surroundings import Surroundings
from .clock import Clock, SystemClock
from .git import Git
from .process import Runner, SystemRunner
from .uv import Uv
from .uvguard import UvGuard
from .uvsettings import MachineSettings


@dataclass(frozen=True, kw_only=True, slots=True)
class LockTools:
    """What a step about the lock may use of the outside."""

    voice: Voice
    surroundings: Surroundings
    runner: Runner
    uv: Uv
    git: Git
    clock: Clock


@contextmanager
def locktools(
    surroundings: Surroundings, *, voice: Voice, uv: Path | None = None, runner: Runner | None = None
) -> Iterator[LockTools]:
    """The real tools, over the real processes unless a test brings its own runner."""
    runner = runner or SystemRunner(surroundings.variables)
    own = surroundings.python.parent / "uv"
    git = Git(runner, variables=surroundings.variables)
    yield LockTools(
        voice=voice,
        surroundings=surroundings,
        runner=runner,
        uv=Uv(
            runner,
            variables=surroundings.variables,
            asked=uv,
            own=own if own.is_file() else None,
            pip=surroundings.pip,
            machine=MachineSettings(variables=surroundings.variables, cache=surroundings.cache),
            guard=UvGuard(variables=surroundings.variables, tracked=git.tracks, tell=voice.say),
        ),
        git=git,
        clock=SystemClock(),
    )
