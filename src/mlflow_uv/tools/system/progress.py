"""Prints progress of a transfer at intervals, and nothing for a quick one."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ...command.report import Console

SILENT_S, EVERY_S = 2.0, 15.0


@contextmanager
def under_way(console: Console, what: str, folder: Path, *, silent_s: float = SILENT_S) -> Iterator[None]:
    """Say what is done, and how large the folder is by now, once it has taken `silent_s`, and again now and then."""
    done = threading.Event()

    def tell() -> None:
        wait_s = silent_s
        while not done.wait(wait_s):
            console.say(f"  {what}: {readable(_size(folder))}")
            wait_s = EVERY_S

    teller = threading.Thread(target=tell, daemon=True)
    teller.start()
    try:
        yield
    finally:
        done.set()
        teller.join()


def readable(size: int) -> str:
    """`0.4 MB`, `312 MB`: powers of ten."""
    megabytes = size / 1e6
    return f"{megabytes:.0f} MB" if megabytes >= 10 else f"{megabytes:.1f} MB"  # noqa: PLR2004  # two digits


def _size(folder: Path) -> int:
    """Bytes below a folder that others write into; what goes away meanwhile counts nothing."""
    total = 0
    for path in folder.rglob("*"):
        try:
            total += path.stat().st_size if path.is_file() else 0
        except OSError:
            continue
    return total
