"""Garbage collection starts when everything is imported, and leaves that out."""

import subprocess
import sys

LOOK = """
import gc
gc.disable()
import mlflow_uv.surfaces.cli
from mlflow_uv.surfaces.collection import resume_collection
resume_collection()
imported = gc.get_freeze_count()
resume_collection()
print(gc.isenabled(), imported > 10_000, gc.get_freeze_count() == imported)
"""
ENDED = """
import gc, runpy, sys
sys.argv[1:] = ["check-lock", "--help"]
try:
    runpy.run_module("mlflow_uv", run_name="__main__")
except SystemExit:
    print(gc.isenabled(), gc.get_freeze_count() > 10_000)
"""


def last_line(code: str) -> str:
    """What a program prints last."""
    done = subprocess.run([sys.executable, "-I", "-c", code], capture_output=True, text=True, check=True)
    return done.stdout.splitlines()[-1]


def test_what_was_imported_is_not_looked_at_again() -> None:
    """
    A second call changes nothing, and objects that are created later are collected.
    """
    assert "True True True" == last_line(LOOK)


def test_the_command_line_collects_when_its_step_runs() -> None:
    """
    A step may run for hours.
    """
    assert "True True" == last_line(ENDED)
