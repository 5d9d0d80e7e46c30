"""What does a bare clone do before any of our code runs? The real launcher, in a private folder of its own."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from mlflow_uv.errors import ToolMissing
from tests.conftest import ROOT

MAKING = "mlflow-uv: making its environment (once)\n"


def launch(home: Path, path: str | None = None) -> subprocess.CompletedProcess[str]:
    """Ask for the version."""
    variables = {**os.environ, "MLFLOW_UV_HOME": str(home)} | ({"PATH": path} if path else {})
    return subprocess.run(
        [ROOT / "bin" / "mlflow-uv", "--version"], env=variables, capture_output=True, text=True, check=False
    )


def shim(folder: Path, name: str, content: str) -> str:
    """A PATH on which a program of ours goes first."""
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(content)
    (folder / name).chmod(0o755)
    return f"{folder}{os.pathsep}{os.environ['PATH']}"


def made(home: Path) -> Path:
    """The environment that was made."""
    (folder,) = (folder for folder in (home / "cache").glob("ours-*") if folder.is_dir())
    return folder


def test_an_environment_is_made_once(tmp_path: Path) -> None:
    """
    The second run starts at once, and stdout holds nothing but the answer.
    """
    first = launch(tmp_path)

    second = launch(tmp_path)

    assert (0, MAKING) == (first.returncode, first.stderr)
    assert (0, "") == (second.returncode, second.stderr)
    assert first.stdout == second.stdout


@pytest.mark.parametrize("harm", ["interpreter gone", "interpreter dangles", "never finished", "no environment"])
def test_an_environment_that_is_broken_is_made_anew(tmp_path: Path, harm: str) -> None:
    """
    A cached folder outlives the Python that it points to, and a run that was killed leaves half of one.
    """
    assert 0 == launch(tmp_path).returncode
    python = made(tmp_path) / "bin" / "python"
    match harm:
        case "interpreter gone":
            python.unlink()
        case "interpreter dangles":
            python.unlink()
            python.symlink_to("/no/such/python")
        case "never finished":
            (made(tmp_path) / "made").unlink()
        case _:
            shutil.rmtree(python.parent)
            (made(tmp_path) / "pyvenv.cfg").unlink()

    done = launch(tmp_path)

    assert (0, MAKING) == (done.returncode, done.stderr)


@pytest.mark.parametrize("content", ["#!/bin/sh\necho junk\n", "junk"])
def test_a_uv_on_path_that_is_not_uv_is_passed_over(tmp_path: Path, content: str) -> None:
    """
    A shim that ends well makes nothing: the uv of our lock is fetched instead.
    """
    path = shim(tmp_path / "bin", "uv", content)

    done = launch(tmp_path / "home", path)

    assert (0, MAKING) == (done.returncode, done.stderr)


def test_a_folder_that_cannot_be_written_is_said_in_one_line(tmp_path: Path) -> None:
    """
    Not a trace, and not the exit code of findings.
    """
    (tmp_path / "file").touch()

    done = launch(tmp_path / "file" / "home")

    assert (ToolMissing.exit_code, 1) == (done.returncode, done.stderr.count("\n"))
    assert done.stderr.startswith("mlflow-uv: its own environment cannot be made: ")
    assert done.stderr.endswith("Fix: set MLFLOW_UV_HOME to a folder that can be written\n")


def test_a_uv_that_fails_is_quoted(tmp_path: Path) -> None:
    """
    What it printed stands above our line, and the exit code is not that of findings.
    """
    path = shim(
        tmp_path / "bin", "uv", '#!/bin/sh\n[ "$1" = --version ] && echo uv 0.9.9 || { echo no network; exit 2; }\n'
    )

    done = launch(tmp_path / "home", path)

    expected = "no network\nmlflow-uv: `uv` failed, so its own environment cannot be made. "
    assert (ToolMissing.exit_code, "") == (done.returncode, done.stdout)
    assert f"{MAKING}{expected}Fix: see the lines above, then run it again\n" == done.stderr


def test_a_python_that_is_too_old_is_said(tmp_path: Path) -> None:
    """
    The first lines are read by any Python 3; they name the one that is needed.
    """
    head = (ROOT / "bin" / "mlflow-uv").read_text().partition("import fcntl")[0]
    program = tmp_path / "mlflow-uv"
    program.write_text(head.replace("(3, 11)", "(99,)").replace("python3.1", "no-such-python3.1"))

    done = subprocess.run(["python3", "-I", program], capture_output=True, text=True, check=False)

    assert ToolMissing.exit_code == done.returncode
    assert done.stderr.startswith("mlflow-uv: Python 3.11 or newer is needed, python3 is 3.")
