"""What does export write, compare and print?"""

from pathlib import Path

import pytest

from mlflow_uv.errors import LockNotFresh
from mlflow_uv.report import Severity
from mlflow_uv.steps import export
from mlflow_uv.tools.uvwords import LockState
from tests import projects
from tests.unit.steps.conftest import FakeTools

FILE = Path("requirements.txt")


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project with a lock."""
    projects.project(tmp_path)
    (tmp_path / "uv.lock").write_text("version = 1\n")
    return tmp_path


def test_without_a_file_the_list_is_the_result(project: Path, tools: FakeTools) -> None:
    """
    It goes to standard output, and nothing is written.
    """
    report = export.run(export.Inputs(project=project), tools())

    assert ("a==1\nb==2\n", 2, False) == (report.result, report.outputs.pins, report.outputs.changed)
    assert {"pyproject.toml", "uv.lock"} == {path.name for path in project.iterdir()}


def test_a_file_is_written_once(project: Path, tools: FakeTools) -> None:
    """
    The second time there is nothing to change.
    """
    inputs = export.Inputs(project=project, requirements_file=FILE, extras=("c",))

    first, second = (export.run(inputs, tools()) for _ in range(2))

    assert (True, False) == (first.outputs.changed, second.outputs.changed)
    assert "a==1\nb==2\nc==9\n" == (project / FILE).read_text()


@pytest.mark.parametrize(("before", "ok"), [("a==1\nb==2\n", True), ("a==1\n", False), (None, False)])
def test_a_comparison_never_writes(project: Path, tools: FakeTools, before: str | None, ok: bool) -> None:
    """
    Equal, different or missing: with `check` the folder stays as it is.
    """
    if before is not None:
        (project / FILE).write_text(before)

    report = export.run(export.Inputs(project=project, requirements_file=FILE, check=True), tools())

    assert (ok, before) == (report.ok, (project / FILE).read_text() if before is not None else None)
    assert ([] if ok else [project / FILE]) == [finding.path for finding in report.findings]


def test_a_local_package_is_left_out_and_said(project: Path, tools: FakeTools) -> None:
    """
    A path means nothing elsewhere: the list is written without it, and a notice says so.
    """
    tools = tools.with_export("a==1\n./core\n")

    report = export.run(export.Inputs(project=project), tools())

    assert ("a==1\n", [Severity.NOTICE]) == (report.result, [finding.severity for finding in report.findings])


def test_nothing_is_made_from_a_stale_lock(project: Path, tools: FakeTools) -> None:
    """
    Requirements of a lock that is not true would be believed.
    """
    tools = tools.with_lock(LockState.STALE)

    with pytest.raises(LockNotFresh, match="is out of date"):
        export.run(export.Inputs(project=project, requirements_file=FILE), tools())

    assert not (project / FILE).exists()
