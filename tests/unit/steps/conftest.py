"""Tools that answer what a test says, for steps that decide and write."""

import sys
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import cast

import pytest

from mlflow_uv.core.requirements import Requirements, parse_requirements
from mlflow_uv.core.selection import Selection
from mlflow_uv.surroundings import Surroundings
from mlflow_uv.tools.files import Project
from mlflow_uv.tools.toolbox import Tools
from mlflow_uv.tools.uvwords import LockState, LockVerdict


@dataclass(frozen=True)
class FakeUv:
    """A uv that knows one lock."""

    verdict: LockVerdict = field(default_factory=lambda: LockVerdict(state=LockState.FRESH))
    changes: tuple[str, ...] = ()
    aside: tuple[str, ...] = ()
    exported: str = "a==1\nb==2\n"

    def lock_state(self, _project: Project, *, respect_env: bool) -> LockVerdict:
        """See Uv."""
        return LockVerdict(state=LockState.STALE, reason="respected") if respect_env else self.verdict

    def lock_changes(self, _project: Project, *, respect_env: bool) -> tuple[str, ...]:
        """See Uv."""
        return () if respect_env else self.changes

    def set_aside(self, *, respect_env: bool) -> tuple[str, ...]:
        """See Uv."""
        return () if respect_env else self.aside

    def export(self, _project: Project, selection: Selection, *, respect_env: bool) -> Requirements:
        """See Uv; an extra adds a pin of its name."""
        assert not respect_env
        return parse_requirements(self.exported + "".join(f"{extra}==9\n" for extra in selection.extras))


@dataclass(frozen=True)
class FakeTools:
    """A toolbox with a uv in it."""

    surroundings: Surroundings
    uv: FakeUv = field(default_factory=FakeUv)

    def with_lock(self, state: LockState, *, reason: str = "", line: int = 1, file: str = "uv.lock") -> "FakeTools":
        """The same, with a lock in this state."""
        return replace(self, uv=replace(self.uv, verdict=LockVerdict(state=state, reason=reason, line=line, file=file)))

    def with_changes(self, *changes: str) -> "FakeTools":
        """The same, with what `uv lock` would change."""
        return replace(self, uv=replace(self.uv, changes=changes))

    def with_export(self, text: str) -> "FakeTools":
        """The same, with what the lock says."""
        return replace(self, uv=replace(self.uv, exported=text))

    def with_aside(self, *names: str) -> "FakeTools":
        """The same, with variables of the caller that did not steer."""
        return replace(self, uv=replace(self.uv, aside=names))

    def __call__(self) -> Tools:
        """As a step takes them."""
        return cast("Tools", self)


@pytest.fixture
def tools(tmp_path: Path) -> FakeTools:
    """Tools of a project whose lock is fresh, called from the folder of the project."""
    return FakeTools(surroundings=Surroundings.of({}, folder=tmp_path, python=Path(sys.executable)))
