"""Deriving the verdict on a lock from uv's answers, with and without the network."""

import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from mlflow_uv.command.errors import ToolFailed
from mlflow_uv.command.host import Host
from mlflow_uv.core.freshness.causes import Cause
from mlflow_uv.core.security.child_environment import INDEX_VARIABLES
from mlflow_uv.ops.lock.freshness import Freshness, examine, unreadable
from mlflow_uv.tools.lock_toolbox import LockTools
from mlflow_uv.tools.project.files import Project, UnreadableProject, read_project
from mlflow_uv.tools.uv.messages import LockState, LockVerdict
from mlflow_uv.tools.uv.settings import MachineSettings
from mlflow_uv.tools.uv.uv import LockRequest
from tests import projects

LOCK = """\
version = 1
requires-python = ">=3.9"

[[package]]
name = "wine"
version = "0.1.0"
source = { virtual = "." }

[package.metadata]
requires-dist = [{ name = "grape" }]
"""
FRESH = LockVerdict(state=LockState.FRESH)
STALE = LockVerdict(state=LockState.STALE, cause=Cause.UNKNOWN)
NO_NETWORK = LockVerdict(state=LockState.UNVERIFIABLE, cause=Cause.NETWORK, complaint="not in the cache")
NO_PYTHON = LockVerdict(state=LockState.UNVERIFIABLE, cause=Cause.INTERPRETER, complaint="no Python")
BROKEN = LockVerdict(state=LockState.UNVERIFIABLE, cause=Cause.UNKNOWN, complaint="the build backend returned an error")


@dataclass
class FakeUv:
    """A uv that answers each request as it is told to, and remembers them."""

    answer: Callable[[LockRequest], LockVerdict]
    aside: tuple[str, ...] = ()
    asked: list[LockRequest] = field(default_factory=list)
    builds: bool = True
    indexes: frozenset[str] = frozenset()
    others: dict[str, Path] = field(default_factory=dict)

    def other_python(self, wanted: str) -> Path | None:
        """See Uv."""
        return self.others.get(wanted)

    def lock_state(self, _project: Project, request: LockRequest) -> LockVerdict:
        """See Uv."""
        self.asked.append(request)
        return self.answer(request)

    @property
    def machine(self) -> MachineSettings:
        """See Uv."""
        return MachineSettings(variables={}, cache=Path("/nowhere"), machine=Path("/nowhere"))

    def outside_indexes(self, _project: Project) -> frozenset[str]:
        """See Uv."""
        return self.indexes

    def set_aside(self, *, respect_env: bool) -> tuple[str, ...]:
        """See Uv."""
        return () if respect_env else self.aside


class NoGit:
    """A git that knows nothing of any file."""

    def absence(self, _path: Path) -> None:
        """See Git."""

    def restore_argv(self, _file: Path, _accepts: Callable[[bytes], bool]) -> None:
        """See Git."""


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """A project whose lock says what its manifest says."""
    (projects.project(tmp_path, "grape") / "uv.lock").write_text(LOCK)
    return read_project(tmp_path)


def asked(
    project: Project, uv: FakeUv, *, offline: bool = False, respect_env: bool = False, **variables: str
) -> Freshness:
    """What is found out about it."""
    host = Host.of(variables, folder=project.folder, python=Path(sys.executable))
    uv.indexes = frozenset(variables) & INDEX_VARIABLES
    tools = cast("LockTools", SimpleNamespace(uv=uv, host=host, git=NoGit()))
    return examine(project, tools, respect_env=respect_env, offline=offline)


def test_a_fresh_lock_is_asked_about_once(project: Project) -> None:
    """
    Without a network, and without reading what it was made from.
    """
    uv = FakeUv(lambda _request: FRESH)

    found = asked(project, uv, UV_DEFAULT_INDEX="https://index.test")

    assert (LockState.FRESH, (), [True]) == (found.state, found.findings, [one.offline for one in uv.asked])


def test_what_uv_calls_fresh_with_a_network_is_fresh(project: Project) -> None:
    """
    Whatever our comparison says.
    """
    projects.depend_on(project.folder, "cork")
    uv = FakeUv(lambda request: NO_NETWORK if request.offline else FRESH)

    found = asked(project, uv)

    assert (LockState.FRESH, ()) == (found.state, found.findings)


def test_stale_without_a_difference_is_told_in_uv_s_words(project: Project) -> None:
    """
    Better than to make up a cause.
    """
    verdict = LockVerdict(state=LockState.STALE, cause=Cause.UNKNOWN, again="change in the weather")

    found = asked(project, FakeUv(lambda _request: verdict))

    (finding,) = found.findings
    assert ("lock-stale", "uv says: change in the weather") == (finding.rule, finding.why)


def test_a_reason_of_uv_that_no_comparison_sees_is_told_where_it_points(project: Project) -> None:
    """
    An index that only the configuration of whoever locked it knew.
    """
    again = "missing remote index: `grape` `1.0` from `https://index.test/simple`"
    with (project.folder / "pyproject.toml").open("a") as file:
        file.write('[[tool.uv.index]]\nname = "ours"\nurl = "https://our.test/simple"\n')
    verdict = LockVerdict(state=LockState.UNVERIFIABLE, cause=Cause.NETWORK, again=again)

    found = asked(read_project(project.folder), FakeUv(lambda _request: verdict))

    (finding,) = found.findings
    rows = (project.folder / "pyproject.toml").read_text().splitlines()
    assert (LockState.STALE, "lock-index") == (found.state, finding.rule)
    assert rows[finding.line - 1].startswith("url = ")


def test_nothing_is_asked_over_the_network_that_may_not_be(project: Project) -> None:
    """
    By our switch, or by uv's own.
    """
    uv = FakeUv(lambda _request: NO_NETWORK)

    states = [asked(project, uv, offline=True).state, asked(project, uv, UV_OFFLINE="true").state]

    assert [LockState.UNVERIFIABLE] * 2 == states
    assert all(request.offline for request in uv.asked)


@pytest.mark.parametrize("value", ["", "0", "false"])
def test_a_switch_that_is_off_is_off(project: Project, value: str) -> None:
    """
    As uv reads it.
    """
    uv = FakeUv(lambda request: NO_NETWORK if request.offline else FRESH)

    found = asked(project, uv, UV_OFFLINE=value)

    assert LockState.FRESH is found.state


def test_a_network_that_fails_does_not_undo_what_is_known(project: Project) -> None:
    """
    Stale without a network stays stale; what would change is asked of what uv remembers.
    """
    projects.depend_on(project.folder, "cork")

    def answer(request: LockRequest) -> LockVerdict:
        if not request.offline:
            return NO_NETWORK
        return LockVerdict(state=LockState.STALE, changes=("Add cork v3.0",) if request.changes else ())

    found = asked(read_project(project.folder), FakeUv(answer))

    assert (LockState.STALE, ("Add cork v3.0",)) == (found.state, found.changes)


def test_another_python_is_tried_before_giving_up(project: Project) -> None:
    """
    Ours, which is certainly here, goes first; where the project does not allow it, what uv says of its own is told.
    """
    uv = FakeUv(lambda _request: NO_PYTHON)

    found = asked(project, uv, offline=True)

    (finding,) = found.findings
    assert [Path(sys.executable), None] == [one.python for one in uv.asked]
    assert (LockState.UNVERIFIABLE, "no Python") == (found.state, finding.why)


def test_a_failure_that_nothing_explains_is_a_failure(project: Project) -> None:
    """
    A build that breaks is no answer about the lock.
    """
    with pytest.raises(ToolFailed) as caught:
        asked(project, FakeUv(lambda _request: BROKEN))

    assert "the build backend returned an error" == caught.value.why


def test_a_failure_beside_a_difference_is_stale(project: Project) -> None:
    """
    What the files say is enough.
    """
    projects.depend_on(project.folder, "grape>=2")

    found = asked(read_project(project.folder), FakeUv(lambda _request: BROKEN))

    assert (LockState.STALE, (Cause.REQUIREMENT_CHANGED,)) == (found.state, found.causes)


@pytest.mark.parametrize(
    ("guilty", "named"),
    [({"UV_B"}, "`UV_B` makes"), ({"UV_A", "UV_C"}, "`UV_A`, `UV_B`, `UV_C` make")],
    ids=["one", "two together"],
)
def test_the_variable_that_does_it_is_found_by_elimination(project: Project, guilty: set[str], named: str) -> None:
    """
    The one without which the lock is fresh; all of them where no single one is enough.
    """
    uv = FakeUv(lambda request: FRESH if guilty <= request.without else STALE, aside=("UV_A", "UV_B", "UV_C"))

    found = asked(project, uv, respect_env=True)

    (finding,) = found.findings
    assert (LockState.STALE, "lock-environment") == (found.state, finding.rule)
    assert finding.what.startswith(named)


def test_changes_that_are_many_are_counted(project: Project) -> None:
    """
    Five are enough to recognise one's own; all of them are there for a table.
    """
    changes = tuple(f"Add p{number} v1" for number in range(7))
    verdict = LockVerdict(state=LockState.STALE, again="r", changes=changes)

    found = asked(project, FakeUv(lambda _request: verdict))

    shown = "add p0 v1, add p1 v1, add p2 v1, add p3 v1, add p4 v1 and 2 more"
    assert (changes, f"uv says: r; `uv lock` would {shown}") == (found.changes, found.findings[0].why)


@pytest.mark.parametrize(
    ("text", "rule", "line"),
    [("[project]\n<<<<<<< HEAD\n", "lock-conflict", 2), ("[project]\n\nname = \n", "lock-unreadable", 3)],
)
def test_a_manifest_that_is_not_toml_is_a_finding(tmp_path: Path, text: str, rule: str, line: int) -> None:
    """
    On its line; a merge conflict is called by its name.
    """
    (tmp_path / "pyproject.toml").write_text(text)
    with pytest.raises(UnreadableProject) as caught:
        read_project(tmp_path)

    finding: Any = unreadable(caught.value)

    assert (rule, line, tmp_path / "pyproject.toml") == (finding.rule, finding.line, finding.path)
