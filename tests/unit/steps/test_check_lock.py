"""The findings of check-lock for each state of a lock."""

from dataclasses import replace
from pathlib import Path

import pytest

from mlflow_uv.command.errors import BadProject
from mlflow_uv.command.report import Severity
from mlflow_uv.core.release.digests import lock_digest
from mlflow_uv.steps import check_lock
from mlflow_uv.tools.uv.messages import LockState, LockVerdict
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


def test_what_locking_would_change_is_a_table(project: Path, tools: FakeTools) -> None:
    """
    All of it, where a sentence would only say some.
    """
    tools = tools.with_lock(LockState.STALE).with_changes("Add a v1", "Update b v1 -> v2", "Remove c v3")

    report = check_lock.run(check_lock.Inputs(project=project), tools())

    (table,) = report.tables
    assert (("Add", "a", "v1"), ("Update", "b", "v1 -> v2"), ("Remove", "c", "v3")) == table.rows


@pytest.fixture
def monorepo(tmp_path: Path) -> Path:
    """Three projects with a lock; the folder itself is none."""
    for name in ("a", "b", "c"):
        projects.project(tmp_path / name)
        (tmp_path / name / "uv.lock").write_bytes(b"version = 1\n")
    return tmp_path


def test_every_project_below_is_asked_and_the_worst_is_the_verdict(monorepo: Path, tools: FakeTools) -> None:
    """
    One that is missing outweighs one that is stale; each has its own entry, in path order.
    """
    stale, missing = LockVerdict(state=LockState.STALE), LockVerdict(state=LockState.MISSING)
    tools = replace(tools, uv=replace(tools.uv, verdicts={"a": stale, "c": missing}))

    report = check_lock.run(check_lock.Inputs(project=monorepo), tools())

    entries = [(one.project, one.lock, one.verdict) for one in report.outputs.projects.include]
    assert [
        ("a", "a/uv.lock", LockState.STALE),
        ("b", "b/uv.lock", LockState.FRESH),
        ("c", "c/uv.lock", LockState.MISSING),
    ] == entries
    assert (LockState.MISSING, "2 of 3 locks are not fresh") == (report.outputs.verdict, report.summary)


def test_folders_can_be_left_out(monorepo: Path, tools: FakeTools) -> None:
    """
    By glob patterns of paths below the project.
    """
    report = check_lock.run(check_lock.Inputs(project=monorepo, exclude=("[ab]",)), tools())

    assert ["c"] == [one.project for one in report.outputs.projects.include]


def test_alone_asks_the_folder_s_own_project(monorepo: Path, tools: FakeTools) -> None:
    """
    The others are not looked at.
    """
    projects.project(monorepo)

    report = check_lock.run(check_lock.Inputs(project=monorepo, alone=True), tools())

    assert ["."] == [one.project for one in report.outputs.projects.include]


def test_a_fresh_lock_that_breaks_a_rule_is_told_as_both(tmp_path: Path, tools: FakeTools) -> None:
    """
    The verdict is about freshness; the summary says what else is wrong.
    """
    projects.project(tmp_path, more="[tool.mlflow-uv.policy]\nrequire-hashes = true\n")
    package = '[[package]]\nname = "a"\nversion = "1"\nsource = { registry = "https://index.example" }\n'
    wheel = 'wheels = [{ url = "https://files.example/a-1-py3-none-any.whl" }]\n'
    (tmp_path / "uv.lock").write_text(f"version = 1\n{package}{wheel}")

    report = check_lock.run(check_lock.Inputs(project=tmp_path), tools())

    assert (False, "uv.lock is fresh, and 1 rule broken") == (report.ok, report.summary)
    assert ["policy-require-hashes"] == [finding.rule for finding in report.findings]


def test_a_folder_without_any_project_is_told_as_such(tmp_path: Path, tools: FakeTools) -> None:
    """
    No answer is not a finding.
    """
    with pytest.raises(BadProject, match=r"is not a project: it has no pyproject\.toml"):
        check_lock.run(check_lock.Inputs(project=tmp_path), tools())


def test_variables_that_did_not_steer_are_a_notice(project: Path, tools: FakeTools) -> None:
    """
    Named, but no reason to fail.
    """
    tools = tools.with_aside("UV_EXCLUDE_NEWER", "UV_PYTHON")

    report = check_lock.run(check_lock.Inputs(project=project), tools())

    (finding,) = report.findings
    assert (True, Severity.NOTICE) == (report.ok, finding.severity)
    assert finding.what.startswith("UV_EXCLUDE_NEWER, UV_PYTHON were ignored")


def test_respect_env_lets_them_steer(project: Path, tools: FakeTools) -> None:
    """
    Who wants the variables of the job to count gets their answer.
    """
    report = check_lock.run(check_lock.Inputs(project=project, respect_env=True), tools())

    assert LockState.STALE is report.outputs.verdict


def test_a_manifest_that_is_not_toml_is_an_answer(project: Path, tools: FakeTools) -> None:
    """
    A merge conflict in pyproject.toml is a finding on its line, and no failure of ours.
    """
    (project / "pyproject.toml").write_text("[project]\n<<<<<<< HEAD\n")

    report = check_lock.run(check_lock.Inputs(project=project), tools())

    (finding,) = report.findings
    assert (LockState.UNREADABLE, 2) == (report.outputs.verdict, finding.line)
