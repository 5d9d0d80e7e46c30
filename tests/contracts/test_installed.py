"""The documented command starts the program on a machine without it; real uvx builds it from this checkout."""

import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from mlflow_uv.steps.catalog import step_of
from mlflow_uv.surfaces.jobsummary import command_line
from tests import projects
from tests.conftest import ROOT
from tests.runner import words

FROM = "git+https://github.com/org/mlflow-uv-action@v1"


def uvx(line: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run a line that names where we are published as if it named this checkout."""
    assert FROM in line
    argv = [str(ROOT) if word == FROM else word for word in shlex.split(line)]
    path = os.pathsep.join((str(Path(sys.executable).parent), os.environ["PATH"]))
    return subprocess.run(
        argv, cwd=folder, env={**os.environ, "PATH": path}, capture_output=True, text=True, check=False
    )


@pytest.mark.extended
def test_the_line_for_a_laptop_repeats_what_failed(tmp_path: Path) -> None:
    """
    With the same finding, and with the lock from which the environment that talks to registries is made.
    """
    projects.project(tmp_path / "mein modell", "grape", wheels=tmp_path)
    line = command_line(step_of("check-lock"), {"project": "mein modell", "alone": "true"}, words())

    done = uvx(line, tmp_path)
    inside = uvx(f"uvx --from {FROM} python -c 'import mlflow_uv; print(mlflow_uv.__file__)'", tmp_path)

    assert 1 == done.returncode, done.stderr
    assert "mein modell/pyproject.toml:1: error: uv.lock is missing" in done.stderr
    ours = Path(inside.stdout.strip()).parent / "ours"
    assert {"pyproject.toml", "uv.lock"} == {file.name for file in ours.iterdir()}
