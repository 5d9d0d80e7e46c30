"""Hides this process's environment, which may hold credentials of a store, from models in other processes."""

import os
import sys
from contextlib import suppress
from pathlib import Path

_SET_DUMPABLE = 4


def hide_environment() -> None:
    """
    Overwrite the initial environment block, and make the memory unreadable to other processes of the same user.

    `/proc/PID/environ` shows the block that the kernel passed to the process; `os.environ` and C's `environ` are copies
    afterwards. Does nothing except on Linux.
    """
    with suppress(OSError, ValueError):
        # Fields 50 and 51 of proc_pid_stat(5): start and end of the block.
        fields = Path("/proc/self/stat").read_bytes().rpartition(b")")[2].split()
        start, end = int(fields[47]), int(fields[48])
        with Path("/proc/self/mem").open("r+b", buffering=0) as memory:
            for name, value in os.environb.items():
                os.putenv(name, value)
            memory.seek(start)
            memory.write(bytes(end - start))
    if sys.platform == "linux":
        with suppress(ImportError, OSError, AttributeError):
            import ctypes  # noqa: PLC0415  # optional in a build of Python

            ctypes.CDLL(None).prctl(_SET_DUMPABLE, 0, 0, 0, 0)
