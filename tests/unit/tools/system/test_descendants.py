"""Who is given up ends in its own way, with what it started and does not look after."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from mlflow_uv.command.errors import ToolFailed
from mlflow_uv.tools.system.descendants import end_other_sessions
from mlflow_uv.tools.system.process import Command, SystemRunner

# It starts one in a session of its own, as a container is, waits for it, and tidies up.
BUILDER = "setsid sleep 86423 & echo $! > child; wait; echo tidy > end"


def given_up(folder: Path, unwind: Callable[[int], None] | None = None) -> tuple[bool, bool]:
    """Whether what a builder started runs on, and whether the builder tidied up."""
    argv, variables = ("sh", "-c", BUILDER), dict(os.environ)
    command = Command(argv=argv, variables=variables, folder=folder, timeout_s=0.5, unwind=unwind)
    with pytest.raises(ToolFailed, match="did not end within"):
        SystemRunner().run(command)
    child = int((folder / "child").read_text())
    running = Path(f"/proc/{child}").exists()
    if running:
        os.kill(child, 9)
    return running, (folder / "end").exists()


def test_what_runs_in_a_session_of_its_own_is_ended_first(tmp_path: Path) -> None:
    """
    A signal to the builder's group would not reach it, and leave the builder no time.
    """
    assert (False, True) == given_up(tmp_path, end_other_sessions)


def test_a_signal_alone_leaves_it_running(tmp_path: Path) -> None:
    """
    Without that it goes on, and nobody tidies up.
    """
    assert (True, False) == given_up(tmp_path)
