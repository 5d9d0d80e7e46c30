"""Collects the tools of the steps that only check a lock; hooks load these alone, to start fast."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ..command.host import Host
from ..command.report import Console
from ..payloads.messages.lazy_dataclass import lazy_dataclass
from .git.git import Git
from .system.clock import Clock, SystemClock
from .system.process import Runner, SystemRunner
from .uv.guard import UvGuard
from .uv.settings import MachineSettings
from .uv.uv import Uv


@lazy_dataclass
class LockTools:
    """The tools of a step that only checks a lock."""

    console: Console
    host: Host
    runner: Runner
    uv: Uv
    git: Git
    clock: Clock


@contextmanager
def locktools(
    host: Host, *, console: Console, uv: Path | None = None, runner: Runner | None = None
) -> Iterator[LockTools]:
    """The tools, with real processes unless `runner` is given."""
    runner = runner or SystemRunner(host.variables)
    own = host.python.parent / "uv"
    git = Git(runner, variables=host.variables)
    yield LockTools(
        console=console,
        host=host,
        runner=runner,
        uv=Uv(
            runner,
            variables=host.variables,
            named=uv,
            own=own if own.is_file() else None,
            pip=host.pip,
            machine=MachineSettings(variables=host.variables, cache=host.cache),
            guard=UvGuard(variables=host.variables, tracked=git.tracks, tell=console.say),
        ),
        git=git,
        clock=SystemClock(),
    )
