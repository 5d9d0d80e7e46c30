"""Folders of files that are not complete: what a killed process left is removed, what a running one uses is not."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from mlflow_uv.tools.system.partial_folders import new_folder, remove_abandoned, replace_folder
from tests.waiting import CEILING_S

HOLDING = """
import sys, time
from pathlib import Path
from mlflow_uv.tools.system.partial_folders import new_folder
with new_folder(Path(sys.argv[1])) as folder:
    (folder / "half").write_bytes(b"x")
    print(folder.name, flush=True)
    while True:
        time.sleep(60)
"""

IN_SCRATCH = """
import sys, time
from mlflow_uv.tools.system.partial_folders import scratch_folder
with scratch_folder() as folder:
    (folder / "half").write_bytes(b"x")
    print(folder, flush=True)
    while sys.argv[1:]:
        time.sleep(60)
"""

MANY_SCRATCHES = """
from mlflow_uv.tools.system.partial_folders import scratch_folder
for _ in range(200):
    with scratch_folder() as folder:
        (folder / "x").touch()
"""

# Says how often a file was missing until standard input ends.
LOOKING = """
import os, select, sys
missed = looks = 0
print("looking", flush=True)
while not select.select([sys.stdin], [], [], 0)[0]:
    missed, looks = missed + (not os.path.exists(sys.argv[1])), looks + 1
print(missed)
"""


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def aged(folder: Path) -> None:
    """Make a folder old enough to be removed."""
    os.utime(folder, (1, 1))


def test_a_folder_is_gone_after_its_block(tmp_path: Path) -> None:
    """
    Also if that fails; what was moved out of it stays.
    """

    def fail() -> None:
        with new_folder(tmp_path) as folder:
            (folder / "whole").write_bytes(b"x")
            (folder / "whole").replace(tmp_path / "whole")
            raise ValueError("half")

    with pytest.raises(ValueError, match="half"):
        fail()

    assert ["whole"] == names(tmp_path)


def test_what_a_killed_process_left_is_removed_by_the_next_one_and_not_while_it_runs(tmp_path: Path) -> None:
    """
    The kernel ends its lock with it, so that neither its id nor its age is compared.
    """
    with subprocess.Popen((sys.executable, "-c", HOLDING, tmp_path), stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        name = process.stdout.readline().strip()
        aged(tmp_path / name)
        with new_folder(tmp_path):
            beside = (tmp_path / name / "half").read_bytes()
        process.send_signal(signal.SIGKILL)
    aged(tmp_path / name)
    with new_folder(tmp_path) as folder:
        after = names(tmp_path)

    assert (b"x", [folder.name]) == (beside, after)


def test_a_temporary_folder_of_a_killed_process_is_removed_by_the_next_one(tmp_path: Path) -> None:
    """
    What another program left beside it stays.
    """
    variables = {**os.environ, "TMPDIR": str(tmp_path)}
    (tmp_path / ".new-of-others").mkdir()
    aged(tmp_path / ".new-of-others")
    killed_argv, argv = ((sys.executable, "-c", IN_SCRATCH, *words) for words in (("stay",), ()))
    with subprocess.Popen(killed_argv, stdout=subprocess.PIPE, text=True, env=variables) as process:
        assert process.stdout is not None
        killed = Path(process.stdout.readline().strip())
        process.send_signal(signal.SIGKILL)
    left, mode = names(killed), killed.parent.stat().st_mode & 0o777
    aged(killed)

    subprocess.run(argv, check=True, capture_output=True, env=variables)

    assert (["half"], 0o700, [".new-of-others"]) == (left, mode, names(tmp_path))


def test_a_temporary_folder_is_made_while_others_remove_theirs(tmp_path: Path) -> None:
    """
    The last one of a user removes the folder around it, in which another process is about to make one.
    """
    variables = {**os.environ, "TMPDIR": str(tmp_path)}
    argv = (sys.executable, "-c", MANY_SCRATCHES)
    processes = [subprocess.Popen(argv, env=variables) for _ in range(3)]

    codes = [process.wait(CEILING_S) for process in processes]

    assert ([0, 0, 0], []) == (codes, names(tmp_path))


def test_a_folder_that_others_can_write_is_not_used_for_temporary_ones(tmp_path: Path) -> None:
    """
    Somebody else may have made it first, or a link in its place.
    """
    variables, own = {**os.environ, "TMPDIR": str(tmp_path)}, tmp_path / f"mlflow-uv-{os.getuid()}"
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir(mode=0o700)
    own.symlink_to(elsewhere)

    def place() -> Path:
        argv = (sys.executable, "-c", IN_SCRATCH)
        done = subprocess.run(argv, check=True, capture_output=True, text=True, env=variables)
        return Path(done.stdout.strip()).parent

    linked = place()
    own.unlink()
    own.mkdir()
    own.chmod(0o777)

    assert (tmp_path, tmp_path) == (linked, place())
    assert ["elsewhere", own.name] == names(tmp_path)


def test_a_folder_that_is_not_locked_yet_and_a_link_are_left_alone(tmp_path: Path) -> None:
    """
    Another process made it a moment ago; where a link leads, nothing is removed.
    """
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "kept").touch()
    (tmp_path / "cache" / ".new-young").mkdir(parents=True)
    (tmp_path / "cache" / ".new-link").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "cache" / ".new-file").touch()

    remove_abandoned(tmp_path / "cache")
    remove_abandoned(tmp_path / "cache", young_s=-1)

    assert [".new-file", ".new-link"] == names(tmp_path / "cache")
    assert ["kept"] == names(tmp_path / "elsewhere")


def folder(path: Path, text: str) -> Path:
    path.mkdir()
    (path / "file").write_text(text)
    return path


def test_there_is_always_one_in_the_place(tmp_path: Path) -> None:
    """
    Another process that looks all the time never misses it.
    """
    place = folder(tmp_path / "place", "0")
    argv = (sys.executable, "-c", LOOKING, place / "file")
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as looking:
        assert looking.stdout is not None
        looking.stdout.readline()
        for number in range(1, 300):
            replace_folder(folder(tmp_path / f"new-{number}", str(number)), place, old=tmp_path / f"old-{number}")
        missed, _ = looking.communicate("\n", timeout=CEILING_S)

    assert ("0\n", "299") == (missed, (place / "file").read_text())


def test_what_was_replaced_stays_for_a_minute(tmp_path: Path) -> None:
    """
    A process that is listing it finds all of its files, however old they are; the next folder removes it later.
    """
    place = folder(tmp_path / "place", "old")
    os.utime(place, (0, 0))
    replace_folder(folder(tmp_path / "new", "new"), place, old=tmp_path / "free")

    with new_folder(tmp_path):
        kept = [file.read_text() for file in tmp_path.glob(".new-*/file")]
    remove_abandoned(tmp_path, young_s=-1)

    assert (["old"], ["place"]) == (kept, names(tmp_path))


def test_a_folder_is_put_where_none_was(tmp_path: Path) -> None:
    """
    Nothing is left at its old place.
    """
    replace_folder(folder(tmp_path / "new", "1"), tmp_path / "place", old=tmp_path / "old")

    assert ["place"] == [path.name for path in tmp_path.iterdir()]
