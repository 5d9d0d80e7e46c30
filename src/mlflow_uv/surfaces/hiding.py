"""Takes the environment of this process out of the sight of the programs that it starts."""

import os
from contextlib import suppress
from pathlib import Path

from ..core.security.masking import holds_secrets
from ..tools.system.prctl import make_undumpable


def hide_environment() -> None:
    """
    Overwrite the variables that this process was started with, and close its memory where there are secrets in them.

    `/proc/PID/environ` shows the block in which the kernel handed them over, to every process of the same user and to
    root; `os.environ` and what C programs read are copies. Who may trace any process, as root may with CAP_SYS_PTRACE,
    still reads the memory. Elsewhere than on Linux nothing is done.
    """
    with suppress(OSError, ValueError):
        _overwrite(_block())
    if holds_secrets(os.environ):
        make_undumpable()


def _block() -> tuple[int, int]:
    """Where the block begins and ends: fields 50 and 51 of proc_pid_stat(5)."""
    fields = Path("/proc/self/stat").read_bytes().rpartition(b")")[2].split()
    return int(fields[47]), int(fields[48])


def _overwrite(block: tuple[int, int]) -> None:
    start, end = block
    with Path("/proc/self/mem").open("r+b", buffering=0) as memory:
        for name, value in os.environb.items():
            os.putenv(name, value)  # a copy, for C programs and for children that get our environment
        memory.seek(start)
        memory.write(bytes(end - start))
