"""Environments that processes make at the same time with a real uv."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from mlflow_uv.core.model import model_files
from tests import projects
from tests.waiting import CEILING_S, happens

# Makes the environment of a model anew and uses it, `count` times.
MAKING = """
import json, os, subprocess, sys
from pathlib import Path
from mlflow_uv.command.host import Host
from mlflow_uv.ops.image.environment import install, needs_in
from mlflow_uv.surfaces.terminal import terminal
from mlflow_uv.tools.toolbox import toolbox

model, minor, count = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
with toolbox(Host.of(os.environ, folder=model, python=Path(sys.executable)), console=terminal()) as tools:
    for _ in range(count):
        python, inventory = install(needs_in(model), tools, python=minor)
        done = subprocess.run([python, "-I", "-c", "import fig, grape, plum; print(grape.__file__)"], check=True)
        assert ["grape", "1.0"] in json.loads(inventory)["installed"], inventory
print(python, flush=True)
"""
MINOR = f"{sys.version_info.major}.{sys.version_info.minor}"


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A model that needs three packages of a folder."""
    wheels = [projects.wheel(tmp_path / "wheels", name, "1.0") for name in ("fig", "grape", "plum")]
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / model_files.REQUIREMENTS).write_text("".join(f"{wheel}\n" for wheel in wheels))
    (folder / "python_env.yaml").write_text(f"python: {MINOR}\n")
    return folder


def started(model: Path, root: Path, home: Path, *, count: int) -> subprocess.Popen[str]:
    """A process that makes the environment."""
    variables = {"PATH": os.environ["PATH"], "HOME": str(home), "MLFLOW_UV_HOME": str(home)}
    argv = (sys.executable, "-c", MAKING, model, sys.executable, str(count))
    return subprocess.Popen(argv, cwd=root, env=variables, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_processes_that_make_one_environment_at_once_all_get_a_whole_one(
    model: Path, root: Path, tmp_path: Path
) -> None:
    """
    Each makes it anew while the others use it; one that is killed in the middle leaves nothing that they meet.
    """
    home = tmp_path / "home"
    killed = started(model, root, home, count=100)
    begun = happens(lambda: any((home / "cache" / "serving").rglob("pyvenv.cfg")))
    killed.send_signal(signal.SIGKILL)
    killed.communicate()

    processes = [started(model, root, home, count=4) for _ in range(3)]
    ends = [(process.communicate(timeout=CEILING_S)[1], process.returncode) for process in processes]

    assert begun
    assert [0, 0, 0] == [code for _, code in ends], [error for error, _ in ends]
    assert 1 == len(list((home / "cache" / "serving").glob("[!.]*/bin/python")))
