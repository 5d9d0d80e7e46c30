"""A step that is cancelled while uv builds a package ends within seconds, and with it the build."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests import projects
from tests.waiting import CEILING_S, happens

# It ignores signals, and so does the process that it starts, like a compiler that a backend runs.
BACKEND = """
import os, signal, subprocess

def get_requires_for_build_wheel(config_settings=None):
    if "NOW" in os.environ:
        return []
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    compiler = subprocess.Popen(["sleep", "3600"])
    with open("started", "w") as file:
        file.write(f"{os.getpid()} {compiler.pid}")
    compiler.wait()

get_requires_for_build_editable = get_requires_for_build_wheel

def prepare_metadata_for_build_wheel(folder, config_settings=None):
    os.mkdir(f"{folder}/wine-1.dist-info")
    with open(f"{folder}/wine-1.dist-info/METADATA", "w") as file:
        file.write("Metadata-Version: 2.1\\nName: wine\\nVersion: 1\\n")
    return "wine-1.dist-info"

prepare_metadata_for_build_editable = prepare_metadata_for_build_wheel
"""
SYSTEM = '\n[build-system]\nrequires = []\nbuild-backend = "slow"\nbackend-path = ["."]\n'
SECONDS = 20.0  # 0.3 on a machine that does nothing else


@pytest.fixture
def endless(tmp_path: Path) -> Path:
    """A locked project, of which uv needs its backend to know the version."""
    folder = projects.project(tmp_path / "wine", more=SYSTEM)
    manifest = (folder / "pyproject.toml").read_text()
    dynamic = manifest.replace('version = "0.1.0"', 'dynamic = ["version", "dependencies"]')
    (folder / "pyproject.toml").write_text(dynamic.replace("dependencies = []\n", ""))
    (folder / "slow.py").write_text(BACKEND)
    variables = {**os.environ, "NOW": "1", "UV_CACHE_DIR": str(tmp_path / "other")}
    subprocess.run(["uv", "lock", "--offline", "--quiet"], cwd=folder, env=variables, check=True)
    return folder


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)], ids=["SIGINT", "SIGTERM"])
def test_a_build_that_ignores_signals_ends_with_the_step(
    endless: Path, tmp_path: Path, number: signal.Signals, code: int
) -> None:
    """
    Neither the backend nor what it started is left.
    """
    started = endless / "started"
    variables = {**os.environ, "MLFLOW_UV_HOME": str(tmp_path / "home"), "UV_CACHE_DIR": str(tmp_path / "cache")}
    argv = (sys.executable, "-I", "-m", "mlflow_uv", "check-lock")
    step = subprocess.Popen(
        argv, cwd=endless, env=variables, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    building = happens(lambda: step.poll() is not None or (started.is_file() and started.read_text()))
    early = step.poll()

    step.send_signal(number)
    before = time.monotonic()
    output, _ = step.communicate(timeout=CEILING_S)
    took = time.monotonic() - before

    assert (True, None, code) == (building, early, step.returncode), output
    assert took < SECONDS
    assert [False, False] == [Path("/proc", pid).exists() for pid in started.read_text().split()]
    assert "cancelled" == output.splitlines()[-1]
