"""Reads the marks and the parents of processes; imports `os` alone, for a program that starts in milliseconds."""

import os
from contextlib import suppress

MARK = "MLFLOW_UV_CHILD"


def all_pids() -> list[int]:
    """The ids of all processes; none on systems without /proc."""
    with suppress(OSError):
        return [int(name) for name in os.listdir("/proc") if name.isdecimal()]  # noqa: PTH208  # half of the time
    return []


def mark_of(pid: int) -> str | None:
    """The mark in the environment of a process; None without one, or if it is not readable."""
    with suppress(OSError), open(f"/proc/{pid}/environ", "rb") as file:  # noqa: PTH123  # without `pathlib`
        for variable in file.read().split(b"\0"):
            name, _, value = variable.partition(b"=")
            if name == MARK.encode():
                return value.decode(errors="replace")
    return None


def stat_of(pid: int) -> tuple[str, int, str] | None:
    """The state, the parent and the time of the start of a process, in clock ticks; None if there is none."""
    with suppress(OSError), open(f"/proc/{pid}/stat", "rb") as file:  # noqa: PTH123  # without `pathlib`
        state, parent, *more = file.read().decode(errors="replace").rpartition(")")[2].split()
        return state, int(parent), more[17]
    return None
