"""Finds processes by the mark in their environment."""

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from mlflow_uv.tools.system.marks import MARK, all_pids, mark_of, stat_of

WAITING = (sys.executable, "-I", "-S", "-c", "print(flush=True); input()")


@pytest.mark.parametrize(
    ("variables", "mark"),
    [({MARK: "x=y", "A": "b"}, "x=y"), ({f"{MARK}_2": "x"}, None), ({}, None)],
    ids=["marked", "a longer name", "nothing"],
)
def test_the_mark_of_a_process_is_that_of_its_environment(variables: Mapping[str, str], mark: str | None) -> None:
    """
    None without a mark; the process is among all.
    """
    process = subprocess.Popen(WAITING, env=variables, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.readline()  # the program was executed: before that it has the environment of this one

    found = (mark_of(process.pid), process.pid in all_pids())

    process.communicate()
    assert (mark, True) == found


def test_a_process_that_ended_has_no_mark() -> None:
    """
    It may end between the list and the look.
    """
    process = subprocess.Popen((sys.executable, "-I", "-S", "-c", ""), env={MARK: "x"})
    process.wait()

    assert (None, True) == (mark_of(process.pid), os.getpid() in all_pids())


def test_the_parent_of_a_process_is_read_whatever_its_name_is(tmp_path: Path) -> None:
    """
    The name stands before it in parentheses, and may contain some; the start tells it from a later one of the same id.
    """
    program = tmp_path / ") 7 ("
    program.symlink_to("/bin/sh")
    process = subprocess.Popen([program, "-c", "echo; read line"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.readline()

    running, again = stat_of(process.pid), stat_of(process.pid)

    process.communicate()
    assert running is not None
    assert again is not None
    assert (os.getpid(), running[2], True) == (running[1], again[2], running[2].isdecimal())
    assert None is stat_of(process.pid)
