"""What becomes of the programs of a process that is killed, and of those of one that ends as it should."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.processes import is_running
from tests.waiting import happens

from .test_descendants import DAEMON, IGNORING_SIGTERM

# A process of ours that runs a program, whose code it is given, until it is killed.
KILLED = """
import sys
from pathlib import Path
from mlflow_uv.tools.system.process import Command, SystemRunner

way, foreign, code, note = sys.argv[1:]
command = Command(
    argv=(sys.executable, "-I", "-c", code, note),
    variables={},
    folder=Path("/"),
    foreign=foreign == "1",
    watched=way == "run at once",
)
runner = SystemRunner()
if way == "run beside another":
    runner.if_killed(Command(argv=("true",), variables={}, folder=Path("/")))
if way.startswith("run"):
    runner.run(command)
running = runner.start(command) if way == "start" else runner.converse(command)
while running.code() is None:
    pass
"""
WAITING = """
import os, sys, time
{more}
with open(sys.argv[1] + ".new", "w") as file:
    file.write(str(os.getpid()))
os.rename(sys.argv[1] + ".new", sys.argv[1])
time.sleep(3600)
"""
# Of a program in `Popen`, the process that writes the note is a grandchild of ours, in the group of its parent.
GRANDCHILD = """
import subprocess, sys
subprocess.run([sys.executable, "-I", "-c", {waiting!r}, sys.argv[1]])
"""
# Of a foreign program, a child without the environment and in another session.
CHILD = """
import subprocess, sys
argv = [sys.executable, "-I", "-c", {waiting!r}, sys.argv[1]]
subprocess.Popen(argv, env={{}}, start_new_session=True).wait()
"""


def started(way: str, code: str, note: Path, *, foreign: bool) -> "subprocess.Popen[bytes]":
    """A process that runs a program, once the program has written its id."""
    argv = (sys.executable, "-c", KILLED, way, str(int(foreign)), code, str(note))
    ours = subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
    assert happens(lambda: note.exists() or ours.poll() is not None)
    return ours


def watchdogs(parent: int) -> list[int]:
    """The watchdogs of a process."""
    path = Path(f"/proc/{parent}/task/{parent}/children")
    children = [int(child) for child in path.read_text().split()]
    return [child for child in children if b"watchdog" in Path(f"/proc/{child}/cmdline").read_bytes()]


def kill(process: "subprocess.Popen[bytes]") -> None:
    """Kill a process once it has a watchdog."""
    assert happens(lambda: watchdogs(process.pid))
    process.kill()
    process.wait()


@pytest.mark.parametrize("way", ["run", "start", "converse"])
@pytest.mark.parametrize(
    ("code", "foreign"),
    [
        (WAITING.format(more="pass"), False),
        (GRANDCHILD.format(waiting=WAITING.format(more="pass")), False),
        (DAEMON.format(more="pass") + "time.sleep(3600)", True),
        (CHILD.format(waiting=WAITING.format(more="pass")), True),
    ],
    ids=["a program", "what a program waits for", "a daemon of a foreign program", "a child without its mark"],
)
def test_what_a_killed_process_runs_ends(tmp_path: Path, way: str, code: str, foreign: bool) -> None:
    """
    SIGKILL ends one process alone; what it ran would go on.
    """
    note = tmp_path / "pid"
    ours = started(way, code, note, foreign=foreign)
    pid = int(note.read_text())
    before = is_running(pid)

    kill(ours)

    assert (True, True) == (before, happens(lambda: not is_running(pid)))


@pytest.mark.parametrize(
    ("way", "foreign"),
    [("run at once", True), ("run beside another", False), ("start", True), ("converse", False)],
)
def test_what_a_process_runs_ends_if_its_group_is_killed_at_once(tmp_path: Path, way: str, foreign: bool) -> None:
    """
    The second process is there before the program, and never in the group.
    """
    note = tmp_path / "pid"
    ours = started(way, WAITING.format(more="pass"), note, foreign=foreign)

    os.killpg(ours.pid, signal.SIGKILL)

    ours.wait()
    pid = int(note.read_text())
    ended = happens(lambda: not is_running(pid))
    if not ended:
        os.kill(pid, signal.SIGKILL)
    assert ended


@pytest.mark.extended
def test_a_program_that_ignores_sigterm_is_killed(tmp_path: Path) -> None:
    """
    It gets a few seconds before.
    """
    note = tmp_path / "pid"
    ours = started("run", WAITING.format(more=IGNORING_SIGTERM), note, foreign=False)

    kill(ours)

    assert happens(lambda: not is_running(int(note.read_text())))


def test_what_is_left_on_purpose_is_not_ended(tmp_path: Path) -> None:
    """
    A daemon of a program that is not foreign, as an engine's monitor of a container, and another process.
    """
    note = tmp_path / "pid"
    other = subprocess.Popen((sys.executable, "-I", "-c", "import time; time.sleep(3600)"))
    ours = started("run", DAEMON.format(more="pass") + "time.sleep(3600)", note, foreign=False)
    (watchdog,) = (happens(lambda: watchdogs(ours.pid)) and watchdogs(ours.pid)) or [0]
    pid = int(note.read_text())

    ours.kill()
    ours.wait()

    ended = happens(lambda: not is_running(watchdog))
    assert (True, True, True) == (ended, is_running(pid), is_running(other.pid))
    os.kill(pid, signal.SIGKILL)
    other.kill()
    other.wait()


# What is watched, in a process that ends by itself: the note is written if the command ran.
COMMANDS = """
import os, signal, sys
from pathlib import Path
from mlflow_uv.tools.system.process import Command, SystemRunner

how, note = sys.argv[1:]
def write(name):
    code = "import os, sys; open(sys.argv[1], 'w').write(os.environ['WORD'])"
    argv = (Path(sys.executable).name, "-I", "-c", code, note + name)
    variables = {"WORD": "it's", "PATH": str(Path(sys.executable).parent)}
    return SystemRunner().if_killed(Command(argv=argv, variables=variables, folder=Path("/")))
kept, dropped = write("-kept"), write("-dropped")
dropped()
print(Path(f"/proc/self/task/{os.getpid()}/children").read_text(), flush=True)
if how == "ended":
    kept()
else:
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.parametrize(("how", "names"), [("ended", []), ("killed", ["note-kept"])])
def test_a_command_for_a_killed_process_runs_only_then(tmp_path: Path, how: str, names: list[str]) -> None:
    """
    What an engine keeps running is removed by a command, which is taken back where it was removed already.
    """
    argv = (sys.executable, "-c", COMMANDS, how, str(tmp_path / "note"))
    done = subprocess.run(argv, check=False, stdout=subprocess.PIPE)

    assert (how == "killed", True) == (
        done.returncode == -signal.SIGKILL,
        happens(lambda: not is_running(int(done.stdout))),
    )
    assert [(name, "it's") for name in names] == [(path.name, path.read_text()) for path in tmp_path.iterdir()]
