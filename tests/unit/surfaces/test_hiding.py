"""The environment that a program was started with is nowhere to be seen, and still there for who needs it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
OURS = f"import sys; sys.path.insert(0, {str(ROOT / 'src')!r}); from mlflow_uv.surfaces.hiding import hide_environment"
# A payload imports nothing of ours, and so has one of its own.
PAYLOADS = ROOT / "src/mlflow_uv/payloads"
THEIRS = f"import sys; sys.path.insert(0, {str(PAYLOADS)!r}); from process_environment import hide_environment"
CANARY = "canary-9f31"


def shown_after(setup: str, look: str, **variables: str) -> str:
    """What a program that hides its environment prints afterwards."""
    code = f"{setup}\nimport ctypes, os, subprocess\nhide_environment()\n{look}"
    done = subprocess.run(
        (sys.executable, "-I", "-c", code),
        env={"PATH": os.environ["PATH"], **variables},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.strip()


@pytest.mark.parametrize("setup", [OURS, THEIRS], ids=["surface", "payload"])
def test_nobody_reads_the_environment_of_a_program_that_hid_it(setup: str) -> None:
    """
    The block that the kernel shows under /proc holds no variable any more.
    """
    look = "print(open('/proc/self/environ', 'rb').read().strip(b'\\0'))"

    assert "b''" == shown_after(setup, look, MLFLOW_TRACKING_TOKEN=CANARY)


@pytest.mark.parametrize("setup", [OURS, THEIRS], ids=["surface", "payload"])
@pytest.mark.parametrize(
    "look",
    [
        "print(os.environ['MLFLOW_TRACKING_TOKEN'])",
        "get = ctypes.CDLL(None).getenv; get.restype = ctypes.c_char_p; print(get(b'MLFLOW_TRACKING_TOKEN').decode())",
        "os.write(1, subprocess.check_output(['sh', '-c', 'echo $MLFLOW_TRACKING_TOKEN']))",
    ],
    ids=["Python", "C", "a child"],
)
def test_who_may_know_a_variable_still_does(setup: str, look: str) -> None:
    """
    Python, a library in C, and a child that inherits the environment find every variable where they look for it.
    """
    assert CANARY == shown_after(setup, look, MLFLOW_TRACKING_TOKEN=CANARY)


@pytest.mark.parametrize(("variables", "dumpable"), [({"MLFLOW_TRACKING_TOKEN": CANARY}, "0"), ({"NAME": CANARY}, "1")])
def test_the_memory_is_closed_where_there_are_secrets(variables: dict[str, str], dumpable: str) -> None:
    """
    Profilers and debuggers look into what has nothing to hide.
    """
    assert dumpable == shown_after(OURS, "print(ctypes.CDLL(None).prctl(3, 0, 0, 0, 0))", **variables)
