"""Tools that answer what a test says, for steps that decide and write."""

import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import cast

import pytest

from mlflow_uv.command.host import Host
from mlflow_uv.core.export.requirements import Requirements, parse_requirements
from mlflow_uv.core.lock.selection import Selection
from mlflow_uv.tools.project.files import Project
from mlflow_uv.tools.system.threads import T
from mlflow_uv.tools.toolbox import Tools
from mlflow_uv.tools.uv.guard import UvGuard
from mlflow_uv.tools.uv.messages import LockState, LockVerdict
from mlflow_uv.tools.uv.settings import MachineSettings
from mlflow_uv.tools.uv.uv import LockRequest

PYLOCK = """# written by uv
lock-version = '1.0'
created-by = 'uv'

[[packages]]
name = 'b'
version = '2'

[[packages]]
name = 'a'
version = '1'
"""
SBOM = """{"bomFormat": "CycloneDX", "specVersion": "1.5", "version": 1, "serialNumber": "urn:uuid:TIME",
"metadata": {"timestamp": "TIME", "tools": [{"name": "uv", "version": "1"}],
    "component": {"type": "library", "bom-ref": "w-1", "name": "w"}},
"components": [{"type": "library", "bom-ref": "b-2@2", "name": "b", "version": "2"},
    {"type": "library", "bom-ref": "a-3@1", "name": "a", "version": "1"}],
"dependencies": [{"ref": "w-1", "dependsOn": ["b-2@2", "a-3@1"]}, {"ref": "a-3@1"}]}
"""


@dataclass(frozen=True)
class FakeUv:
    """A uv that knows one lock."""

    verdict: LockVerdict = field(default_factory=lambda: LockVerdict(state=LockState.FRESH))
    builds: bool = True
    verdicts: Mapping[str, LockVerdict] = field(default_factory=dict)
    changes: tuple[str, ...] = ()
    aside: tuple[str, ...] = ()
    exported: str = "a==1\nb==2\n"
    python: str | None = None
    guard: UvGuard = field(default_factory=lambda: UvGuard(variables={}))
    machine: MachineSettings = field(
        default_factory=lambda: MachineSettings(variables={}, cache=Path("/nowhere"), machine=Path("/nowhere"))
    )

    def lock_state(self, project: Project, request: LockRequest) -> LockVerdict:
        """See Uv."""
        if request.respect_env:
            return LockVerdict(state=LockState.STALE, again="respected")
        verdict = self.verdicts.get(project.folder.name, self.verdict)
        return replace(verdict, changes=self.changes if request.changes else ())

    def python_of(self, _project: Project) -> str | None:
        """See Uv."""
        return self.python

    def set_aside(self, *, respect_env: bool) -> tuple[str, ...]:
        """See Uv."""
        return () if respect_env else self.aside

    def settings_set_aside(self, _project: Project, *, respect_env: bool) -> Mapping[Path, tuple[str, ...]]:
        """See Uv."""
        assert isinstance(respect_env, bool)
        return {}

    def outside_indexes(self, _project: Project) -> frozenset[str]:
        """See Uv."""
        return frozenset()

    def newer(self, _program: str) -> str | None:
        """See Uv."""
        return None

    def export(
        self, _project: Project, selection: Selection, *, respect_env: bool, hashes: bool = True
    ) -> Requirements:
        """See Uv; an extra adds a pin of its name."""
        assert not respect_env
        assert isinstance(hashes, bool)
        return parse_requirements(self.exported + "".join(f"{extra}==9\n" for extra in selection.extras))

    def pylock(self, _project: Project, _selection: Selection, *, respect_env: bool) -> str:
        """See Uv."""
        assert not respect_env
        return PYLOCK

    def sbom(self, _project: Project, _selection: Selection, *, respect_env: bool) -> str:
        """See Uv; it is another text every time."""
        assert not respect_env
        return SBOM.replace("TIME", str(time.time_ns()))


class InARow:
    """A runner that does one thing after the other."""

    def side_by_side(self, tasks: Sequence[Callable[[], T]]) -> list[T]:
        """See Runner."""
        return [task() for task in tasks]


class NoGit:
    """A folder that is no repository."""

    def files_below(self, _folder: Path, _patterns: tuple[str, ...]) -> None:
        """See Git."""

    def absence(self, _path: Path) -> None:
        """See Git."""

    def restore_argv(self, _file: Path, _accepts: Callable[[bytes], bool]) -> None:
        """See Git."""


@dataclass(frozen=True)
class FakeTools:
    """A toolbox with a uv in it."""

    host: Host
    uv: FakeUv = field(default_factory=FakeUv)
    runner: InARow = field(default_factory=InARow)
    git: NoGit = field(default_factory=NoGit)

    def with_lock(self, state: LockState, *, again: str = "", line: int = 1, file: str = "uv.lock") -> "FakeTools":
        """The same, with a lock in this state."""
        return replace(self, uv=replace(self.uv, verdict=LockVerdict(state=state, again=again, line=line, file=file)))

    def with_changes(self, *changes: str) -> "FakeTools":
        """The same, with what `uv lock` would change."""
        return replace(self, uv=replace(self.uv, changes=changes))

    def with_export(self, text: str) -> "FakeTools":
        """The same, with what the lock says."""
        return replace(self, uv=replace(self.uv, exported=text))

    def with_aside(self, *names: str) -> "FakeTools":
        """The same, with variables of the caller that were ignored."""
        return replace(self, uv=replace(self.uv, aside=names))

    def __call__(self) -> Tools:
        """As a step takes them."""
        return cast("Tools", self)


@pytest.fixture
def tools(tmp_path: Path) -> FakeTools:
    """Tools of a project whose lock is fresh, called from the folder of the project."""
    return FakeTools(host=Host.of({}, folder=tmp_path, python=Path(sys.executable)))
