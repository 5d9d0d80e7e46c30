"""The lock of a single script (PEP 723) is looked at like that of a project."""

import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from mlflow_uv.command.host import Host
from mlflow_uv.command.report import Report
from mlflow_uv.steps import check_lock
from mlflow_uv.tools.lock_toolbox import locktools
from mlflow_uv.tools.uv.messages import LockState
from tests import exports, projects
from tests.checkout import repository
from tests.console import KeptConsole

SCRIPT = """\
# /// script
# requires-python = ">=3.9"
# dependencies = ["grape"]
# [tool.uv]
# index = [{{ name = "beside", url = "{}", format = "flat", default = true }}]
# ///
print("hello")
"""


@pytest.fixture(params=[True, False], ids=["git", "no git"])
def wine(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A locked project that has a script with a lock of its own."""
    for version in ("1.0", "1.1"):
        projects.wheel(tmp_path / "wheels", "grape", version)
    folder = projects.project(tmp_path / "wine", "grape", wheels=tmp_path / "wheels")
    projects.lock(folder)
    script = folder / "tools" / "fetch data.py"
    script.parent.mkdir()
    script.write_text(SCRIPT.format(tmp_path / "wheels"))
    subprocess.run(["uv", "lock", "--quiet", "--offline", "--script", script], cwd=folder, check=True)
    if request.param:
        repository(folder)
    return folder


def checked(folder: Path, *, alone: bool = False) -> Report[check_lock.Outputs]:
    """What the step says."""
    host = Host.of(exports.offline(), folder=folder, python=Path(sys.executable))
    with locktools(host, console=KeptConsole(), uv=exports.PROGRAM) as tools:
        return check_lock.run(check_lock.Inputs(project=folder, alone=alone), tools)


def test_a_script_whose_requirements_changed_is_stale_and_its_fix_works(wine: Path) -> None:
    """
    The project's own lock is fresh all the while, and the matrix has projects alone.
    """
    script = wine / "tools" / "fetch data.py"
    fresh = checked(wine)
    script.write_text(script.read_text().replace('"grape"', '"grape<1.1"'))

    stale, alone = checked(wine), checked(wine, alone=True)

    assert (LockState.FRESH, ()) == (fresh.outputs.verdict, fresh.findings)
    (finding,) = stale.findings
    assert (LockState.STALE, LockState.FRESH) == (stale.outputs.verdict, alone.outputs.verdict)
    assert (script.with_name("fetch data.py.lock"), 1) == (finding.path, len(stale.outputs.projects.include))
    assert "`fetch data.py.lock` is out of date" == finding.what
    assert "uv lock --script 'tools/fetch data.py'" == finding.fix
    subprocess.run([*shlex.split(finding.fix), "--quiet", "--offline"], cwd=wine, check=True)
    assert LockState.FRESH is checked(wine).outputs.verdict


def test_a_lock_of_a_script_that_cannot_be_read_is_told_on_its_line(wine: Path) -> None:
    """
    With the command that makes it anew.
    """
    lock = wine / "tools" / "fetch data.py.lock"
    lock.write_text(f"{lock.read_text()}[[pack")

    report = checked(wine)

    (finding,) = report.findings
    assert (LockState.UNREADABLE, lock) == (report.outputs.verdict, finding.path)
    assert lock.read_text().count("\n") + 1 == finding.line
    subprocess.run(["sh", "-c", finding.fix], cwd=wine, check=True, env=exports.offline())
    assert LockState.FRESH is checked(wine).outputs.verdict


@pytest.mark.parametrize("target", ["/dev/zero", "nowhere"])
def test_a_lock_of_a_script_that_is_no_file_is_not_passed_over(wine: Path, target: str) -> None:
    """
    uv would read a device without end, so it is not asked; the printed commands make a lock.
    """
    lock = wine / "tools" / "fetch data.py.lock"
    lock.unlink()
    lock.symlink_to(target)

    report = checked(wine)

    (finding,) = report.findings
    assert (LockState.UNREADABLE, lock, "`fetch data.py.lock` cannot be read") == (
        report.outputs.verdict, finding.path, finding.what
    )  # fmt: skip
    subprocess.run(["sh", "-c", finding.fix], cwd=wine, check=True, env=exports.offline())
    assert LockState.FRESH is checked(wine).outputs.verdict


def test_a_script_whose_name_looks_like_a_flag_has_a_fix_that_works(wine: Path) -> None:
    """
    In the folder where it lies.
    """
    script = wine / "-x.py"
    for suffix in (".py", ".py.lock"):
        (wine / "tools" / f"fetch data{suffix}").rename(script.with_suffix(suffix))
    script.write_text(script.read_text().replace('"grape"', '"grape<1.1"'))

    (finding,) = checked(wine).findings

    assert "uv lock --script ./-x.py" == finding.fix
    subprocess.run([*shlex.split(finding.fix), "--quiet", "--offline"], cwd=wine, check=True)
    assert LockState.FRESH is checked(wine).outputs.verdict
