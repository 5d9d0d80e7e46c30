"""Prints progress of a transfer at intervals, and nothing for a quick one."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ...command.report import Console

SILENT_S, EVERY_S = 2.0, 15.0
_TWO_DIGITS = 10  # megabytes without a decimal


@contextmanager
def progress_of(console: Console, what: str, folder: Path, *, silent_s: float = SILENT_S) -> Iterator[None]:
    """Print `what` and the size of a folder after `silent_s`, then every EVERY_S seconds, while the block runs."""
    done = threading.Event()

    def report() -> None:
        wait_s = silent_s
        while not done.wait(wait_s):
            console.say(f"  {what}: {readable(_size(folder))}")
            wait_s = EVERY_S

    reporter = threading.Thread(target=report, daemon=True)
    reporter.start()
    try:
        yield
    finally:
        done.set()
        reporter.join()


def readable(size: int) -> str:
    """A size in bytes as `0.4 MB` or `312 MB` (powers of ten)."""
    megabytes = size / 1e6
    return f"{megabytes:.0f} MB" if megabytes >= _TWO_DIGITS else f"{megabytes:.1f} MB"


def _size(folder: Path) -> int:
    """The number of bytes below a folder; files that are deleted meanwhile count as 0."""
    total = 0
    for path in folder.rglob("*"):
        try:
            total += path.stat().st_size if path.is_file() else 0
        except OSError:
            continue
    return total
