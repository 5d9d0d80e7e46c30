"""Finding training attempts whose process was killed, or whose server was gone at their end."""

import subprocess
import sys
from pathlib import Path

import pytest

from mlflow_uv.command.host import Host
from mlflow_uv.tools.mlflow.attempts import Attempts

DIES = """
import os, sys
from pathlib import Path
from mlflow_uv.command.host import Host
from mlflow_uv.tools.mlflow.attempts import Attempts

here = Path(sys.argv[1])
host = Host.of({"MLFLOW_UV_HOME": str(here)}, folder=here, python=Path(sys.executable))
with Attempts(host).start("store") as attempt:
    print(attempt.id, flush=True)
    os.kill(os.getpid(), 9)
"""


@pytest.fixture
def attempts(tmp_path: Path) -> Attempts:
    """The trainings of one machine."""
    variables = {"MLFLOW_UV_HOME": str(tmp_path)}
    return Attempts(Host.of(variables, folder=tmp_path, python=Path(sys.executable)))


def test_a_training_that_was_killed_is_dead_until_its_runs_are_closed(attempts: Attempts, tmp_path: Path) -> None:
    """
    The system lets go of the lock for who was killed, and the file says which runs are meant.
    """
    killed = subprocess.run((sys.executable, "-c", DIES, tmp_path), capture_output=True, text=True, check=False)

    found = list(attempts.abandoned("store"))
    for one in found:
        one.mark_closed()

    assert killed.stdout.split() == [one.id for one in found]
    assert [] == list(attempts.abandoned("store"))


def test_a_training_that_goes_on_is_not_dead(attempts: Attempts) -> None:
    """
    Nobody closes the runs of another release that trains at the same time.
    """
    with attempts.start("store"):
        found = list(attempts.abandoned("store"))

    assert [] == found


def test_a_training_that_could_not_close_its_runs_is_dead(attempts: Attempts) -> None:
    """
    Where the server was gone at the end, the next training closes them; another store is not asked for them.
    """
    with attempts.start("store") as attempt:
        pass

    found = [one.id for one in attempts.abandoned("store")]

    assert ([attempt.id], []) == (found, list(attempts.abandoned("another store")))
