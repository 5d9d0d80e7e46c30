"""What the steps about a lock import: hooks pay for slow imports at every commit."""

import subprocess
import sys
from pathlib import Path

import pytest

LOOK = """
import runpy, sys
module, *sys.argv = sys.argv[1:]
sys.argv = [module, *sys.argv]
try:
    runpy.run_module(module, run_name="__main__")
except SystemExit as ended:
    code = ended.code
print("ended", code, *sys.modules)
"""
HEAVY = frozenset(
    {"mlflow", "rich", "requests", "http.client", "ssl", "asyncio", "concurrent.futures", "actions_toolkit"}
)


@pytest.mark.parametrize(
    ("words", "besides"),
    [
        (("mlflow_uv_hooks", "check-lock", "uv.lock"), {"packaging", "tempfile", "urllib.request", "difflib"}),
        (("mlflow_uv_hooks", "export", "--check", "requirements.txt"), {"urllib.request"}),
        (("mlflow_uv", "check-targets"), {"mlflow_uv.tools.engines.docker"}),
    ],
    ids=["check-lock", "export", "check-targets"],
)
def test_a_step_about_a_lock_loads_nothing_heavy(root: Path, words: tuple[str, ...], besides: set[str]) -> None:
    """
    On the way to its answer: a hook that has nothing to say is there and gone.
    """
    argv = (sys.executable, "-I", "-c", LOOK, *words)

    done = subprocess.run(argv, cwd=root / "examples" / "wine", capture_output=True, text=True, check=True)

    ended, code, *loaded = done.stdout.splitlines()[-1].split()
    assert ("ended", True) == (ended, code in ("0", "1")), done.stderr
    assert set() == (HEAVY | besides) & set(loaded)
