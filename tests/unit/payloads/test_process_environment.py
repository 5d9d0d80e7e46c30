"""What a process was started with is hidden from the processes of a model, which have the same user."""

import subprocess
import sys
from pathlib import Path

from mlflow_uv.payloads import process_environment

PROGRAM = f"""
import os, runpy
hide = runpy.run_path({str(Path(process_environment.__file__))!r})["hide_environment"]
hide()
try:
    block = open(f"/proc/{{os.getpid()}}/environ", "rb").read()
except PermissionError:
    block = b""
print(b"canary" in block, os.environ["PASSWORD"], os.popen("echo $PASSWORD").read().strip())
"""


def test_the_block_of_the_kernel_has_no_secret_afterwards() -> None:
    """
    The process itself, and programs that it starts, have the variables as before.
    """
    variables = {"PASSWORD": "canary", "PATH": "/usr/bin:/bin"}

    done = subprocess.run(
        [sys.executable, "-I", "-c", PROGRAM], env=variables, capture_output=True, text=True, check=True
    )

    assert ["False", "canary", "canary"] == done.stdout.split()
