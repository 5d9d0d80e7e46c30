"""Processes that tests look at by their numbers."""

from pathlib import Path


def is_running(pid: int) -> bool:
    """Whether a process lives; a zombie that nobody has collected yet does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in ("Z", "X")
    except OSError:
        return False
