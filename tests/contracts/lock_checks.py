"""Checks the locks below a folder as a user does, and runs the fix that a message prints."""

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from mlflow_uv.command.host import Host
from mlflow_uv.command.report import Finding, Severity
from mlflow_uv.steps import check_lock
from mlflow_uv.surfaces.terminal import terminal
from mlflow_uv.tools.lock_toolbox import locktools
from tests.checkout import IDENTITY


@dataclass(frozen=True)
class Answer:
    """What `check-lock` says in a folder: the verdict of each project, and the errors."""

    verdicts: dict[str, str]
    errors: tuple[Finding, ...]

    @property
    def verdict(self) -> str:
        """The verdict of the only project."""
        (verdict,) = self.verdicts.values()
        return verdict

    @property
    def error(self) -> Finding:
        """The only error."""
        (error,) = self.errors
        return error


def check(folder: Path, project: Path = Path(), *, alone: bool = False, offline: bool = True) -> Answer:
    """Run `check-lock` with real uv and git for somebody who stands in the folder."""
    host = Host.of(os.environ, folder=folder, python=Path(sys.executable))
    inputs = check_lock.Inputs(project=folder / project, alone=alone, offline=offline)
    with locktools(host, console=terminal()) as tools:
        report = check_lock.run(inputs, tools)
    return Answer(
        verdicts={entry.project: entry.verdict.value for entry in report.outputs.projects.include},
        errors=tuple(finding for finding in report.findings if finding.severity is Severity.ERROR),
    )


def carry_out(fix: str, folder: Path) -> None:
    """Type a fix in a folder. A clone of a test may fetch its submodules from folders."""
    settings = [("protocol.file.allow", "always"), *(pair.split("=") for pair in IDENTITY[1::2])]
    variables = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    variables |= {"GIT_CONFIG_GLOBAL": os.devnull, "UV_OFFLINE": "1", "GIT_CONFIG_COUNT": str(len(settings))}
    for number, (key, value) in enumerate(settings):
        variables |= {f"GIT_CONFIG_KEY_{number}": key, f"GIT_CONFIG_VALUE_{number}": value}
    done = subprocess.run(["bash", "-ec", fix], cwd=folder, env=variables, capture_output=True, text=True, check=False)
    assert 0 == done.returncode, f"{fix}\n{done.stderr}"
