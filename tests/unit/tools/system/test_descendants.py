"""Ends the descendants of a foreign program that is done or stopped, and nothing else."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from mlflow_uv.command.errors import ToolFailed
from mlflow_uv.tools.system.descendants import descendants_of, end_other_sessions
from mlflow_uv.tools.system.process import Command, SystemRunner
from tests.processes import is_running
from tests.waiting import CEILING_S, first_that_is_long_enough, happens

# Leaves a process in a session of its own, whose parent ended at once; `{more}` goes on inside it before it waits.
DAEMON = """
import os, sys, time
note = sys.argv[1]
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        {more}
        with open(note + ".new", "w") as file:
            file.write(str(os.getpid()))
        os.rename(note + ".new", note)
        time.sleep(3600)
    os._exit(0)
while not os.path.exists(note):
    time.sleep(0.01)
"""
DROPPING_THE_MARK = 'os.execve(sys.executable, [sys.executable, "-I", "-c", WAIT, note], {})'
WAIT = (
    "import os, sys, time; open(sys.argv[1] + '.new', 'w').write(str(os.getpid())); "
    "os.rename(sys.argv[1] + '.new', sys.argv[1]); time.sleep(3600)"
)
IGNORING_SIGTERM = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN)"


def command(code: str, note: Path, *, foreign: bool = True, timeout_s: float | None = CEILING_S) -> Command:
    """A small program that is told where to write whom it leaves."""
    argv = (sys.executable, "-I", "-c", f"WAIT = {WAIT!r}\n{code}", str(note))
    return Command(argv=argv, variables={}, folder=Path("/"), foreign=foreign, timeout_s=timeout_s)


@pytest.mark.parametrize(
    "more",
    ["pass", DROPPING_THE_MARK, IGNORING_SIGTERM],
    ids=["plain", "without its mark", "ignoring SIGTERM"],
)
def test_a_daemon_of_a_foreign_program_is_ended(tmp_path: Path, more: str) -> None:
    """
    A new session, a second fork, another environment: it descends from what we started, and it is named.
    """
    note = tmp_path / "daemon"

    done = SystemRunner().run(command(DAEMON.format(more=more), note))

    assert (0, 1, False) == (done.code, len(done.orphans), is_running(int(note.read_text())))


def test_a_daemon_of_a_program_that_is_stopped_is_ended(tmp_path: Path) -> None:
    """
    A server of a model that is stopped takes what it started along.
    """
    note = tmp_path / "daemon"
    running = SystemRunner().start(command(DAEMON.format(more="pass") + "time.sleep(3600)", note))
    while not note.exists():
        assert running.code() is None

    running.stop()

    assert not is_running(int(note.read_text()))


def test_a_daemon_of_a_program_that_ran_out_of_time_is_ended(tmp_path: Path) -> None:
    """
    However a foreign program ends, nothing of it goes on.
    """
    note = tmp_path / "daemon"

    def attempt(limit_s: float) -> int | None:
        with pytest.raises(ToolFailed, match="did not end within"):
            SystemRunner().run(command(DAEMON.format(more="pass") + "time.sleep(3600)", note, timeout_s=limit_s))
        return int(note.read_text()) if note.exists() else None

    daemon = first_that_is_long_enough(attempt, first_s=1)

    assert not is_running(daemon)


def test_the_daemons_of_another_program_go_on(tmp_path: Path) -> None:
    """
    Two foreign programs run at once: the end of one says nothing about what the other still needs.
    """
    theirs, mine = tmp_path / "theirs", tmp_path / "mine"
    runner = SystemRunner()
    other = SystemRunner().start(command(DAEMON.format(more="pass") + "time.sleep(3600)", theirs))
    while not theirs.exists():
        assert other.code() is None

    runner.run(command(DAEMON.format(more="pass"), mine))

    lives = is_running(int(theirs.read_text())), is_running(int(mine.read_text()))
    other.stop()
    assert ((True, False), False) == (lives, is_running(int(theirs.read_text())))


def test_the_daemon_of_a_tool_goes_on(tmp_path: Path) -> None:
    """
    An engine's monitor of a container outlives the command that started it, also when a foreign program ends later.
    """
    note = tmp_path / "daemon"
    runner = SystemRunner()
    runner.run(command("pass", tmp_path / "nothing"))
    runner.run(command(DAEMON.format(more="pass"), note, foreign=False))
    pid = int(note.read_text())

    runner.run(command("pass", tmp_path / "nothing"))

    lives = is_running(pid)
    os.kill(pid, 9)
    assert lives


def test_what_somebody_else_started_before_goes_on(tmp_path: Path) -> None:
    """
    Children of this process that are not ours are left alone.
    """
    with subprocess.Popen([sys.executable, "-I", "-c", "import time; time.sleep(3600)"]) as theirs:
        SystemRunner().run(command(DAEMON.format(more="pass"), tmp_path / "daemon"))

        code = theirs.poll()
        theirs.kill()

    assert code is None


# It starts one in a session of its own, as a container is, waits for it, and tidies up.
BUILDER = "setsid sleep 86423 & echo $! > new; mv new child; wait; echo tidy > end"


def given_up(folder: Path, unwind: Callable[[int], None] | None = None) -> tuple[bool, bool]:
    """Whether what a builder started runs on, and whether the builder tidied up."""

    def attempt(limit_s: float) -> int | None:
        argv, variables = ("sh", "-c", BUILDER), dict(os.environ)
        building = Command(argv=argv, variables=variables, folder=folder, timeout_s=limit_s, unwind=unwind)
        with pytest.raises(ToolFailed, match="did not end within"):
            SystemRunner().run(building)
        return int((folder / "child").read_text()) if (folder / "child").exists() else None

    child = first_that_is_long_enough(attempt, first_s=0.5)
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


def test_processes_that_end_while_they_are_listed_are_left_out() -> None:
    """
    A shell that runs one short program after the other is always listed, and its programs never raise.
    """
    with subprocess.Popen(["sh", "-c", "while :; do /bin/true; done"], start_new_session=True) as shell:
        try:
            lists = [set(descendants_of(os.getpid())) for _ in range(3000)]
            seen = happens(lambda: len(set(descendants_of(os.getpid()))) > 1)
        finally:
            shell.kill()

    assert all(shell.pid in pids for pids in lists)
    assert seen
