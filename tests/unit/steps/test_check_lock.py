"""What does check-lock say of each state of a lock?"""

from pathlib import Path

import pytest

from mlflow_uv.core.digests import lock_digest
from mlflow_uv.report import Severity
from mlflow_uv.steps import check_lock
from mlflow_uv.tools.uvwords import LockState
from tests import projects
from tests.unit.steps.conftest import FakeTools


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project with a lock."""
    projects.project(tmp_path)
    (tmp_path / "uv.lock").write_bytes(b"version = 1\r\n")
    return tmp_path


def test_a_fresh_lock_has_no_findings(project: Path, tools: FakeTools) -> None:
    """
    Nothing to say, and the digest is that of the lock with its line ends normalised.
    """
    report = check_lock.run(check_lock.Inputs(project=project), tools())

    assert (True, (), LockState.FRESH) == (report.ok, report.findings, report.outputs.verdict)
    assert lock_digest(b"version = 1\n") == report.outputs.lock_sha256


@pytest.mark.parametrize(
    ("state", "file", "line", "what", "fix"),
    [
        (LockState.STALE, "uv.lock", 1, "uv.lock is out of date", "uv lock"),
        (LockState.MISSING, "uv.lock", 1, "uv.lock is missing", "uv lock"),
        (
            LockState.UNREADABLE,
            "uv.lock",
            7,
            "uv.lock cannot be parsed",
            "git checkout -- uv.lock && uv lock",
        ),
        (
            LockState.UNREADABLE,
            "pyproject.toml",
            3,
            "pyproject.toml cannot be parsed",
            "correct line 3 of pyproject.toml",
        ),
        (
            LockState.UNSOLVABLE,
            "pyproject.toml",
            5,
            "the requirements have no solution",
            "change the requirement, then `uv lock`",
        ),
    ],
)
def test_every_state_is_said_where_it_can_be_mended(
    project: Path, tools: FakeTools, state: LockState, file: str, line: int, what: str, fix: str
) -> None:
    """
    One error, on the file and line to look at, with the command that mends it.
    """
    tools = tools.with_lock(state, file=file, line=line)

    report = check_lock.run(check_lock.Inputs(project=project), tools())

    found = [(finding.path, finding.line, finding.what, finding.fix) for finding in report.findings]
    assert [(project / file, line, what, fix)] == found


def test_a_stale_lock_says_what_would_change_but_not_all_of_it(project: Path, tools: FakeTools) -> None:
    """
    Five changes are enough to recognise one's own.
    """
    tools = tools.with_lock(LockState.STALE, reason="r").with_changes(*(f"Add p{number} v1" for number in range(7)))

    (finding,) = check_lock.run(check_lock.Inputs(project=project), tools()).findings

    assert "r; Add p0 v1, Add p1 v1, Add p2 v1, Add p3 v1, Add p4 v1, and 2 more" == finding.why


def test_variables_that_did_not_steer_are_a_notice(project: Path, tools: FakeTools) -> None:
    """
    Named, but no reason to fail.
    """
    tools = tools.with_aside("UV_EXCLUDE_NEWER", "UV_PYTHON")

    report = check_lock.run(check_lock.Inputs(project=project), tools())

    (finding,) = report.findings
    assert (True, Severity.NOTICE) == (report.ok, finding.severity)
    assert finding.what.startswith("UV_EXCLUDE_NEWER, UV_PYTHON did not")


def test_respect_env_lets_them_steer(project: Path, tools: FakeTools) -> None:
    """
    Who wants the variables of the job to count gets their answer.
    """
    report = check_lock.run(check_lock.Inputs(project=project, respect_env=True), tools())

    assert (LockState.STALE, "respected") == (report.outputs.verdict, report.findings[0].why)


def test_a_manifest_that_is_not_toml_is_an_answer(project: Path, tools: FakeTools) -> None:
    """
    A merge conflict in pyproject.toml is a finding on its line, and no failure of ours.
    """
    (project / "pyproject.toml").write_text("[project]\n<<<<<<< HEAD\n")

    report = check_lock.run(check_lock.Inputs(project=project), tools())

    (finding,) = report.findings
    assert (LockState.UNREADABLE, 2) == (report.outputs.verdict, finding.line)
