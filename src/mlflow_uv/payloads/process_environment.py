"""Takes the environment of this process, which may reach a store, out of the sight of models that run beside it."""

import os
import sys
from contextlib import suppress
from pathlib import Path

_SET_DUMPABLE = 4


def hide_environment() -> None:
    """
    Overwrite the variables that this process was started with, and close its memory to others of the same user.

    `/proc/PID/environ` shows the block in which the kernel handed them over; `os.environ` and what C programs read are
    copies. Nothing is done elsewhere than on Linux.
    """
    with suppress(OSError, ValueError):
        # Fields 50 and 51 of proc_pid_stat(5): where the block begins and ends.
        fields = Path("/proc/self/stat").read_bytes().rpartition(b")")[2].split()
        start, end = int(fields[47]), int(fields[48])
        with Path("/proc/self/mem").open("r+b", buffering=0) as memory:
            for name, value in os.environb.items():
                os.putenv(name, value)
            memory.seek(start)
            memory.write(bytes(end - start))
    if sys.platform == "linux":
        with suppress(ImportError, OSError, AttributeError):
            import ctypes  # noqa: PLC0415  # some Pythons are built without it

            ctypes.CDLL(None).prctl(_SET_DUMPABLE, 0, 0, 0, 0)
