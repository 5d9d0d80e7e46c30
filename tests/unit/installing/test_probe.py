"""The program that tells what a base image has."""

import platform
import subprocess
import sys
from pathlib import Path

from mlflow_uv.installing import __file__ as package

PROGRAM = Path(str(package)).with_name("probe.py")


def test_it_tells_its_python_and_which_paths_are_in_use(tmp_path: Path) -> None:
    """
    A file is in use, and a folder that has something in it; an empty one and one that is not there are free.
    """
    (tmp_path / "empty").mkdir()
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "x").touch()
    (tmp_path / "file").touch()
    (tmp_path / "nowhere").symlink_to(tmp_path / "gone")
    paths = [str(tmp_path / name) for name in ("empty", "full", "file", "gone", "nowhere")]

    done = subprocess.run([sys.executable, "-I", PROGRAM, *paths], capture_output=True, text=True, check=True)

    assert [platform.python_version(), str(tmp_path / "full"), str(tmp_path / "file")] == done.stdout.split()
