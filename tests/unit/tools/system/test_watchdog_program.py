"""The process that outlives a killed one, with the messages that it gets."""

import marshal
import subprocess
import sys
from pathlib import Path

import mlflow_uv
from mlflow_uv.tools.system.marks import MARK

SOURCES = str(Path(mlflow_uv.__file__).parents[1])
PROGRAM = "import sys; sys.path.append(sys.argv[1]); from mlflow_uv.tools.system.watchdog_program import main; main()"
SLEEPING = (sys.executable, "-I", "-S", "-c", "import time; time.sleep(3600)")


def test_what_is_watched_when_the_pipe_ends_is_ended() -> None:
    """
    A program that was taken back goes on, and so does the watchdog after a program that is gone.
    """
    sleeping = [subprocess.Popen(SLEEPING, start_new_session=True) for _ in range(2)]
    gone = subprocess.Popen((sys.executable, "-I", "-S", "-c", ""), start_new_session=True)
    gone.wait()
    messages = [("watch", process.pid, None) for process in (gone, *sleeping)]
    data = b"".join(marshal.dumps(message) for message in (*messages, ("unwatch", sleeping[0].pid, None)))

    done = subprocess.run((sys.executable, "-I", "-S", "-c", PROGRAM, SOURCES), input=data, env={}, check=False)

    assert (0, None, -15) == (done.returncode, sleeping[0].poll(), sleeping[1].wait())
    sleeping[0].kill()
    sleeping[0].wait()


def test_a_program_is_ended_by_the_mark_that_was_expected() -> None:
    """
    The first process may be killed before it could tell the id; what has another mark goes on.
    """
    sleeping = [subprocess.Popen(SLEEPING, env={MARK: mark}, start_new_session=True) for mark in ("of-a", "of-b")]
    data = b"".join(marshal.dumps(("watch", mark, mark)) for mark in ("of-a", "of-b"))
    data += marshal.dumps(("watch", None, None)) + marshal.dumps(("unwatch", "of-b", None))

    done = subprocess.run((sys.executable, "-I", "-S", "-c", PROGRAM, SOURCES), input=data, env={}, check=False)

    assert (0, -15, None) == (done.returncode, sleeping[0].wait(), sleeping[1].poll())
    sleeping[1].kill()
    sleeping[1].wait()


def test_a_command_that_cannot_be_started_does_not_keep_the_next_from_running(tmp_path: Path) -> None:
    """
    An engine may be gone as well, or still be creating what is to be removed: each command runs twice.
    """
    note = tmp_path / "note"
    code = (sys.executable, "-I", "-S", "-c", f"print('run', file=open({str(note)!r}, 'a'))")
    commands = {"a": (str(tmp_path / "missing"),), "b": code, "c": SLEEPING}
    data = b"".join(marshal.dumps(("run", key, (argv, {}, "/"))) for key, argv in commands.items())
    data += marshal.dumps(("drop", "c", None))

    done = subprocess.run((sys.executable, "-I", "-S", "-c", PROGRAM, SOURCES), input=data, env={}, check=False)

    assert (0, "run\nrun\n") == (done.returncode, note.read_text())
