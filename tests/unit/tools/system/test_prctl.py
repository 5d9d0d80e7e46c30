"""Attributes of a Linux process: who may look into it, and whose orphans it adopts."""

import subprocess
import sys
from pathlib import Path

from mlflow_uv.tools.system import prctl

PROGRAM = """
import os, runpy, time
prctl = runpy.run_path(PATH)
print(prctl["make_undumpable"](), prctl["adopt_orphans"](), end=" ")
print(os.stat("/proc/self/environ").st_uid, end=" ", flush=True)
if os.fork() == 0:
    middle = os.getpid()
    if os.fork() == 0:
        while os.getppid() == middle:
            time.sleep(0.01)
        os._exit(0 if os.getppid() == int(os.environ["TOP"]) else 9) if "TOP" in os.environ else os._exit(7)
    os._exit(0)
os.wait()
print(os.waitstatus_to_exitcode(os.wait()[1]))
"""


def test_a_process_becomes_the_parent_of_what_outlives_its_parent() -> None:
    """
    A grandchild whose parent ended is waited for here, which without a subreaper only the first process can.
    """
    program = PROGRAM.replace("PATH", repr(str(Path(prctl.__file__))))

    done = subprocess.run([sys.executable, "-I", "-c", program], capture_output=True, text=True, check=True, env={})

    undumpable, adopts, _, code = done.stdout.split()
    assert ("True", "True", "7") == (undumpable, adopts, code)
