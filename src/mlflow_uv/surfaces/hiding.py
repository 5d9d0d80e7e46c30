"""Hides the environment of this process from the programs that it starts."""

import os
from contextlib import suppress
from pathlib import Path

from ..core.security.masking import holds_secrets
from ..tools.system.prctl import make_undumpable


def hide_environment() -> None:
    """
    Overwrite the environment block of this process, and make the process undumpable where variables hold secrets.

    `/proc/PID/environ` shows the block that the kernel made at the start to every process of the same user and to root;
    `os.environ` and the C environment are copies. A process with CAP_SYS_PTRACE can still read the memory. Does nothing
    on systems other than Linux.
    """
    with suppress(OSError, ValueError):
        _overwrite(_block())
    if holds_secrets(os.environ):
        make_undumpable()


def _block() -> tuple[int, int]:
    """Start and end address of the block: fields 50 and 51 (env_start, env_end) of proc_pid_stat(5)."""
    fields = Path("/proc/self/stat").read_bytes().rpartition(b")")[2].split()
    return int(fields[47]), int(fields[48])


def _overwrite(block: tuple[int, int]) -> None:
    start, end = block
    with Path("/proc/self/mem").open("r+b", buffering=0) as memory:
        for name, value in os.environb.items():
            os.putenv(name, value)  # a copy, for C programs and for children that get our environment
        memory.seek(start)
        memory.write(bytes(end - start))
