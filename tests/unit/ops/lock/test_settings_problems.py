"""Settings that uv ignores or that come from outside, and a uv that is too old to read them."""

from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from mlflow_uv.command.report import Severity
from mlflow_uv.ops.lock.settings_problems import (
    ignored_settings,
    shadowed_settings,
    too_old_to_read,
    without_these,
)
from mlflow_uv.surfaces.phrasing import ActionPhrasing, ActionSource
from mlflow_uv.tools.lock_toolbox import LockTools
from mlflow_uv.tools.project.files import Project, read_project
from mlflow_uv.tools.uv.messages import LockState, LockVerdict
from mlflow_uv.tools.uv.uv import LockRequest

IGNORED = """\
warning: Failed to parse `pyproject.toml` during settings discovery:
  TOML parse error at line 5, column 1
    |
  5 | indexes = []
    | ^^^^^^^
  unknown field `indexes`, expected one of `index`, `index-url`, `offline`

Resolved 1 package in 1ms
"""
SHADOWED = """\
warning: Found both a `uv.toml` file and a `[tool.uv]` section in an adjacent `pyproject.toml`. These are ignored:
- offline
- prerelease
"""
QUESTION = LockRequest(respect_env=False, offline=True)
VERDICT = LockVerdict(state=LockState.UNREADABLE, complaint="unknown version 9", program="/their/uv", words=IGNORED)


@dataclass
class BundledUv:
    """The uv that is bundled; `newer` is its path if it is newer than theirs."""

    verdict: LockVerdict
    newer_program: str | None = "/ours/uv"
    asked: list[str | None] = field(default_factory=list)

    def newer(self, _program: str) -> str | None:
        """See Uv."""
        return self.newer_program

    def lock_state(self, _project: Project, request: LockRequest) -> LockVerdict:
        """See Uv."""
        self.asked.append(request.program)
        return self.verdict

    def version(self, program: str) -> str:
        """See Uv."""
        return {"/their/uv": "0.9.0", "/ours/uv": "0.10.2"}[program]


def tools(uv: BundledUv, folder: Path) -> LockTools:
    """Tools with that uv."""
    return cast("LockTools", SimpleNamespace(uv=uv, host=SimpleNamespace(folder=folder)))


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """A project with a mistake in its settings."""
    (tmp_path / "pyproject.toml").write_text(
        '[project]\nname = "w"\nversion = "1"\n[tool.uv]\nindexes = []\noffline = true\n'
    )
    return read_project(tmp_path)


def test_a_mistake_in_the_settings_is_at_its_line(project: Project) -> None:
    """
    The bundled uv does not read them either, so the file is wrong.
    """
    (finding,) = ignored_settings(project, tools(BundledUv(VERDICT), project.folder), QUESTION, VERDICT)

    assert ("lock-settings", "uv ignores the whole of [tool.uv]", 5, "correct line 5 of pyproject.toml") == (
        finding.rule, finding.what, finding.line, str(finding.fix),
    )  # fmt: skip
    assert "`indexes`" in finding.why


def test_settings_that_a_newer_uv_reads_are_no_mistake(project: Project) -> None:
    """
    Both versions are named.
    """
    uv = BundledUv(LockVerdict(state=LockState.FRESH))

    (finding,) = ignored_settings(project, tools(uv, project.folder), QUESTION, VERDICT)

    assert ("uv 0.9.0 is too old for [tool.uv] and ignores it", True) == (finding.what, "uv 0.10.2" in finding.why)
    assert ["/ours/uv"] == uv.asked


def test_without_a_complaint_of_uv_there_is_none_of_ours(project: Project) -> None:
    """
    And no second uv is started.
    """
    uv = BundledUv(LockVerdict(state=LockState.FRESH))

    found = ignored_settings(project, tools(uv, project.folder), QUESTION, LockVerdict(state=LockState.FRESH))

    assert ((), []) == (found, uv.asked)


@pytest.mark.parametrize(
    ("bundled", "newer", "expected"),
    [
        (LockState.FRESH, "/ours/uv", "uv 0.9.0 is too old to read uv.lock"),
        (LockState.UNREADABLE, "/ours/uv", None),
        (LockState.FRESH, None, None),
    ],
    ids=["ours reads it", "nobody reads it", "ours is older"],
)
def test_a_lock_is_too_new_only_where_a_newer_uv_reads_it(
    project: Project, bundled: LockState, newer: str | None, expected: str | None
) -> None:
    """
    Else the lock is broken.
    """
    uv = BundledUv(LockVerdict(state=bundled), newer)

    found = too_old_to_read(project, tools(uv, project.folder), QUESTION, VERDICT)

    assert expected == (found and found[0])


def test_keys_that_a_uv_toml_overrides_are_named_at_the_first(project: Project) -> None:
    """
    They have no effect, which is a warning.
    """
    (project.folder / "uv.toml").write_text("offline = false\n")

    (finding,) = shadowed_settings(project, LockVerdict(state=LockState.FRESH, words=SHADOWED))

    assert (Severity.WARNING, "uv ignores `offline`, `prerelease` in [tool.uv]", 6, "move them into uv.toml") == (
        finding.severity, finding.what, finding.line, finding.fix,
    )  # fmt: skip


def test_what_makes_a_lock_look_stale_is_removed_where_it_is_set() -> None:
    """
    Variables in a shell or in a workflow, settings in their file.
    """
    fix = without_these(["UV_PRERELEASE", "/etc/uv/uv.toml"], {"/etc/uv/uv.toml": ("resolution",)})

    shown = ActionPhrasing(step="check-lock", source=ActionSource(), root=Path("/w")).text(fix)

    assert ("unset UV_PRERELEASE; remove `resolution` from /etc/uv/uv.toml", True) == (
        str(fix), shown.startswith("remove `UV_PRERELEASE` from `env`; remove `resolution` from"),
    )  # fmt: skip
    assert "remove `resolution` from /x" == without_these(["/x"], {"/x": ("resolution",)})
