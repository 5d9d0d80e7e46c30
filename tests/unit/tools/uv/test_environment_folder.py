"""Folders of environments: made by one process at a time, complete as soon as they exist, replaced while in use."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from mlflow_uv.command.errors import ToolFailed
from mlflow_uv.tools.uv.environment_folder import EnvironmentFolder
from mlflow_uv.tools.uv.environment_uses import hold
from tests.environment_folders import folders_in
from tests.waiting import CEILING_S

# Makes an environment of two files, and waits between them for a line of standard input.
MAKING = """
import sys
from pathlib import Path
from mlflow_uv.tools.uv.environment_folder import EnvironmentFolder

class Printing:
    def say(self, text):
        print(text, flush=True)

def make(folder):
    (folder / "bin").mkdir(parents=True)
    (folder / "bin" / "python").write_text(sys.argv[2])
    print("half", flush=True)
    sys.stdin.readline()
    (folder / "rest").write_text(sys.argv[2])

environment = EnvironmentFolder(folder=Path(sys.argv[1]), console=Printing(), on_new=lambda _folder: None)
if sys.argv[3] == "once":
    environment.make_once(make)
else:
    environment.make_anew(make)
print((environment.folder / "rest").read_text(), flush=True)
"""


def started(environment: EnvironmentFolder, name: str, how: str) -> subprocess.Popen[str]:
    """A process that makes the environment."""
    argv = (sys.executable, "-c", MAKING, environment.folder, name, how)
    return subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


class Made:
    """Makes environments, and counts them; `fails` ends it in the middle."""

    def __init__(self, text: str, *, fails: bool = False) -> None:
        self.text, self.fails, self.count = text, fails, 0

    def __call__(self, folder: Path) -> None:
        self.count += 1
        (folder / "bin").mkdir(parents=True)
        (folder / "bin" / "python").write_text(self.text)
        if self.fails:
            raise ValueError(self.text)


@pytest.fixture
def environment(tmp_path: Path) -> EnvironmentFolder:
    """Nothing made yet."""
    return folders_in(tmp_path)("key")


@pytest.mark.parametrize("how", ["once", "anew"])
def test_of_two_processes_one_makes_it_and_the_other_waits_and_takes_it(
    environment: EnvironmentFolder, how: str
) -> None:
    """
    Nobody sees the half, and the second says why it waits; what it gets was made after it began.
    """
    environment.folder.mkdir(parents=True)  # not complete
    with started(environment, "first", how) as first:
        half = line(first)
        with started(environment, "second", how) as second:
            waits = line(second)
            there = list(environment.folder.iterdir())
            made, _ = first.communicate("\n", timeout=CEILING_S)
            taken, _ = second.communicate(timeout=CEILING_S)

    assert ("half", [], "first\n", "first\n") == (half, there, made, taken)
    assert "waiting for another process that makes the same environment" == waits


def test_an_environment_in_use_is_made_anew_only_by_who_began_later(environment: EnvironmentFolder) -> None:
    """
    The one that is there is replaced, whole by whole.
    """
    environment.make_anew(Made("old"))
    with started(environment, "new", "anew") as process:
        half = line(process)
        meanwhile = environment.python.read_text()
        process.communicate("\n", timeout=CEILING_S)

    assert ("half", "old", "new") == (half, meanwhile, environment.python.read_text())
    assert ["key"] == sorted(path.name for path in environment.folder.parent.glob("[!.]*"))


def test_what_a_killed_process_left_is_nothing_and_the_next_one_makes_it(environment: EnvironmentFolder) -> None:
    """
    Its lock ends with it.
    """
    with started(environment, "killed", "once") as process:
        half = line(process)
        process.send_signal(signal.SIGKILL)
    left = environment.folder.exists()
    make = Made("next")

    environment.make_once(make)

    assert ("half", False, 1, "next") == (half, left, make.count, environment.python.read_text())


def test_what_was_replaced_is_removed_by_the_next_run_that_makes_nothing(environment: EnvironmentFolder) -> None:
    """
    It stays for a minute, and as long as a process uses it.
    """
    environment.make_anew(Made("old"))
    held: dict[Path, int] = {}
    hold(environment.folder, held)
    environment.make_anew(Made("new"))
    (replaced,) = environment.folder.parent.glob(".new-*")
    other = Made("other")

    environment.make_once(other)
    young = replaced.exists()
    os.utime(replaced, (1, 1))
    environment.make_once(other)
    used = replaced.exists()
    os.close(held.popitem()[1])
    environment.make_once(other)

    assert (True, True, False, 0) == (young, used, replaced.exists(), other.count)


def test_an_environment_that_fails_to_be_made_leaves_the_one_that_is_there(environment: EnvironmentFolder) -> None:
    """
    Whoever uses it goes on.
    """
    environment.make_anew(Made("old"))

    with pytest.raises(ValueError, match="new"):
        environment.make_anew(Made("new", fails=True))

    assert ("old", True) == (environment.python.read_text(), environment.complete)


def test_it_is_made_again_where_it_is_not_valid_or_lost_its_interpreter(environment: EnvironmentFolder) -> None:
    """
    Once otherwise.
    """
    make = Made("python")

    counts = []
    for valid, lost in ((True, False), (True, False), (False, False), (True, True)):
        if lost:
            environment.python.unlink()
        environment.make_once(make, lambda valid=valid: valid)  # type: ignore[misc]
        counts.append(make.count)

    assert [1, 1, 2, 3] == counts


def test_a_folder_without_a_mark_is_replaced(environment: EnvironmentFolder) -> None:
    """
    It was made in its place and perhaps not to the end.
    """
    (environment.folder / "bin").mkdir(parents=True)
    environment.python.write_text("half")

    environment.make_once(Made("whole"))

    assert "whole" == environment.python.read_text()


@pytest.mark.parametrize("fault", ["dangling", "loop", "mark is a folder", "mark is not UTF-8"])
def test_what_is_damaged_is_replaced(environment: EnvironmentFolder, fault: str) -> None:
    """
    Otherwise every later run would end in the same way.
    """
    environment.make_once(Made("old"))
    mark = environment.folder / "mlflow-uv-complete"
    match fault:
        case "dangling" | "loop":
            environment.folder.rename(environment.folder.with_name("gone"))
            environment.folder.symlink_to("nowhere" if fault == "dangling" else environment.folder.name)
        case "mark is a folder":
            mark.unlink()
            mark.mkdir()
        case _:
            mark.write_bytes(b"\xe9")

    environment.make_once(Made("new"))

    assert ("new", True) == (environment.python.read_text(), environment.complete)


@pytest.mark.parametrize("error", [ToolFailed(what="it prints nothing"), PermissionError("not executable")])
def test_one_that_cannot_be_asked_whether_it_is_valid_is_made_again(
    environment: EnvironmentFolder, error: Exception
) -> None:
    """
    Its interpreter was damaged; the error of the new one is not hidden.
    """
    environment.make_once(Made("old"))

    def valid() -> bool:
        raise error

    environment.make_once(Made("new"), valid)

    assert "new" == environment.python.read_text()


def installed(folder: Path) -> None:
    """Make an environment with a package of two modules, one of them compiled, and a script."""
    Made("python")(folder)
    packages = folder / "lib" / "python3.11" / "site-packages"
    for name in ("grape.py", "plum, and pear.py", "__pycache__/grape.cpython-311.pyc", "grape-1.0.dist-info/METADATA"):
        (packages / name).parent.mkdir(parents=True, exist_ok=True)
        (packages / name).write_text("name = 'grape'")
    (folder / "bin" / "grape").write_text("#!python")
    (packages / "grape-1.0.dist-info" / "RECORD").write_text(
        "grape.py,sha256=a,14\n"
        '"plum, and pear.py",sha256=a,14\n'
        "__pycache__/grape.cpython-311.pyc,,\n"
        "never/installed.py,sha256=a,14\n"
        "../../../bin/grape,sha256=b,8\n"
        "grape-1.0.dist-info/METADATA,sha256=c,14\n"
        "grape-1.0.dist-info/RECORD,,\n"
    )


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("lib/python3.11/site-packages/grape.py", None),
        ("lib/python3.11/site-packages/grape.py", ""),
        ("lib/python3.11/site-packages/plum, and pear.py", None),
        ("lib/python3.11/site-packages/grape-1.0.dist-info/RECORD", None),
        ("lib/python3.11/site-packages/grape-1.0.dist-info/METADATA", None),
        ("lib/python3.11/site-packages/plum-1.0.dist-info/RECORD", "plum.py,,\n"),
        ("lib/python3.11/site-packages/grape.py", "name = 'grope'"),
        ("lib/python3.11/site-packages/sitecustomize.py", ""),
        ("pyvenv.cfg", "include-system-site-packages = true"),
        ("bin/grape", "#!"),
    ],
)
def test_an_environment_whose_files_are_not_those_of_before_is_made_again(
    environment: EnvironmentFolder, path: str, text: str | None
) -> None:
    """
    Also where a file is as long as before, or is a new one.
    """
    environment.make_once(installed)
    before = environment.intact
    place = environment.folder / path
    place.parent.mkdir(exist_ok=True)
    place.write_text(text) if text is not None else place.unlink()
    damaged = environment.intact
    make = Made("new")

    environment.make_once(make)

    assert (True, False, 1) == (before, damaged, make.count)


def test_an_environment_of_an_earlier_release_is_not_known_to_be_damaged(environment: EnvironmentFolder) -> None:
    """
    Its mark says less about its files: it is made again where that is possible, and used where a record names it.
    """
    environment.make_once(installed)
    states = [(environment.intact, environment.damaged)]
    (environment.folder / "bin" / "grape").write_text("#!")
    states.append((environment.intact, environment.damaged))
    (environment.folder / "mlflow-uv-complete").write_text(f"1\n{'a' * 64}")
    states.append((environment.intact, environment.damaged))

    assert [(True, False), (False, True), (False, False)] == states


def test_a_pipe_in_place_of_the_mark_is_no_mark(environment: EnvironmentFolder) -> None:
    """
    Nobody waits for it.
    """
    environment.make_once(installed)
    mark = environment.folder / "mlflow-uv-complete"
    mark.unlink()
    os.mkfifo(mark)
    make = Made("new")

    environment.make_once(make)

    assert 1 == make.count


def test_bytecode_and_files_of_no_package_may_change(environment: EnvironmentFolder) -> None:
    """
    Python writes bytecode, uv locks an environment with a file, and neither is a damage.
    """
    environment.make_once(installed)
    packages = environment.folder / "lib" / "python3.11" / "site-packages"
    (packages / "__pycache__" / "grape.cpython-311.pyc").write_text("")
    (environment.folder / ".lock").write_text("")
    make = Made("new")

    environment.make_once(make)

    assert (True, 0) == (environment.intact, make.count)


def test_who_waited_for_a_lock_that_was_removed_does_not_make_it_beside_the_next(
    environment: EnvironmentFolder,
) -> None:
    """
    The file of the lock is gone with its process; the third process locks a new file, and the second waits for it.
    """
    with started(environment, "first", "anew") as first:
        line(first)
        with started(environment, "second", "once") as second:
            line(second)
            first.communicate("\n", timeout=CEILING_S)
            taken, _ = second.communicate(timeout=CEILING_S)

    assert ("first\n", ["key"]) == (taken, sorted(path.name for path in environment.folder.parent.iterdir()))
