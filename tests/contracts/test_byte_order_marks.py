"""A byte-order mark, as editors of Windows write it: uv reads over it, and so does every step."""

from pathlib import Path

import pytest

from mlflow_uv.command.host import Host
from mlflow_uv.command.report import Severity
from mlflow_uv.core.lock.lockfile import read_lockfile
from mlflow_uv.steps import check_lock, check_targets
from mlflow_uv.tools.lock_toolbox import locktools
from mlflow_uv.tools.uv.messages import LockState
from tests import exports, projects
from tests.console import KeptConsole

MARK = b"\xef\xbb\xbf"
POLICY = '[tool.mlflow-uv.policy]\nexcluded = ["grape"]\n'


@pytest.fixture
def wine(tmp_path: Path) -> Path:
    """A locked project with a rule that its lock breaks."""
    projects.wheel(tmp_path / "wheels", "grape", "1.0")
    folder = projects.project(tmp_path / "wine", "grape", wheels=tmp_path / "wheels", more=POLICY)
    projects.lock(folder)
    return folder


@pytest.mark.parametrize("file", ["pyproject.toml", "uv.lock", "uv.toml", ".python-version"])
def test_every_step_reads_over_a_mark(wine: Path, file: str) -> None:
    """
    Fresh for one step is readable for the next, and the lines of findings stay the same.
    """
    if file == "uv.toml":
        text = (wine / "pyproject.toml").read_text()
        table = text[text.index("[[tool.uv.index]]") : text.index("[tool.mlflow-uv")]
        (wine / "pyproject.toml").write_text(text.replace(table, ""))
        (wine / file).write_text(table.replace("tool.uv.", ""))
    path = wine / file
    path.write_bytes(MARK + (path.read_bytes() if path.exists() else b"3.11\n"))
    host = Host.of(exports.offline(), folder=wine, python=Path("/usr/bin/python3"))

    with locktools(host, console=KeptConsole(), uv=exports.PROGRAM) as tools:
        checked = check_lock.run(check_lock.Inputs(project=wine), tools)
        targets = check_targets.run(check_targets.Inputs(project=wine, targets=("linux-x86_64-py3.11",)), tools)
    exported = exports.exported(wine, requirements_file=Path("requirements.txt"), pylock_file=Path("pylock.toml"))

    assert (LockState.FRESH, True) == (checked.outputs.verdict, exported.ok)
    assert {"target-folder"} >= {one.rule for one in targets.findings}
    assert ["policy-excluded"] == [one.rule for one in checked.findings if one.severity is Severity.ERROR]
    assert (wine / "requirements.txt").read_text().endswith("grape==1.0\n")
    assert "grape" in read_lockfile((wine / "uv.lock").read_bytes()).by_name


def test_a_difference_in_a_file_with_a_mark_is_told_on_its_line(wine: Path) -> None:
    """
    Also the first line counts.
    """
    manifest = wine / "pyproject.toml"
    manifest.write_bytes(MARK + manifest.read_bytes().replace(b'"grape"]', b'"grape<2"]', 1))
    host = Host.of(exports.offline(), folder=wine, python=Path("/usr/bin/python3"))

    with locktools(host, console=KeptConsole(), uv=exports.PROGRAM) as tools:
        report = check_lock.run(check_lock.Inputs(project=wine), tools)

    (finding,) = (one for one in report.findings if one.rule.startswith("lock-"))
    assert ("lock-requirement-changed", 5) == (finding.rule, finding.line)


def test_a_pin_that_uv_cannot_read_is_named_where_there_is_no_lock(wine: Path) -> None:
    """
    A lock is read without it; to make one, uv reads it, and it is no TOML to be corrected.
    """
    (wine / ".python-version").write_bytes("3.11\n".encode("utf-16"))
    host = Host.of(exports.offline(), folder=wine, python=Path("/usr/bin/python3"))

    with locktools(host, console=KeptConsole(), uv=exports.PROGRAM) as tools:
        locked = check_lock.run(check_lock.Inputs(project=wine), tools)
        (wine / "uv.lock").unlink()
        report = check_lock.run(check_lock.Inputs(project=wine), tools)

    assert LockState.FRESH is locked.outputs.verdict
    (finding,) = (found for found in report.findings if found.rule.startswith("lock-"))
    assert ("lock-unreadable", ".python-version cannot be used") == (finding.rule, finding.what)
    assert "valid UTF-8" in finding.why
