"""Measures the memory of the processes that are started while a block runs."""

import os
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from ...payloads.messages.lazy_dataclass import lazy_dataclass
from .descendants import descendants_of

INTERVAL_S = 0.25


@lazy_dataclass(frozen=False)
class MemoryPeak:
    """The largest sum of the memory of all processes at one time, in bytes; 0 if nothing was measured."""

    bytes: int = 0


@contextmanager
def memory_peak(*, interval_s: float = INTERVAL_S) -> Iterator[MemoryPeak]:
    """
    Measure the descendants of this process that did not run when the block began; complete when it ends.

    A page that several processes share counts once (Pss: https://docs.kernel.org/filesystems/proc.html). Processes in
    containers descend from the engine and are not measured, nor is anything on systems without /proc, nor a child that
    has not executed its program yet: until then it has the memory of this process.
    """
    peak, done = MemoryPeak(), threading.Event()
    own = _command_line(os.getpid())
    earlier = frozenset(descendants_of(os.getpid()))

    def measure() -> None:
        while not done.wait(interval_s):
            started = set(descendants_of(os.getpid())) - earlier
            peak.bytes = max(peak.bytes, _memory_of(pid for pid in started if _command_line(pid) != own))

    thread = threading.Thread(target=measure, daemon=True)
    thread.start()
    try:
        yield peak
    finally:
        done.set()
        thread.join()


def _memory_of(pids: Iterable[int]) -> int:
    return sum(_proportional_size(pid) for pid in pids)


def _command_line(pid: int) -> bytes:
    """Program and arguments of a process; empty for one that ended."""
    with suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    return b""


def _proportional_size(pid: int) -> int:
    """The Pss of a process in bytes; 0 for one that ended or that this user may not read."""
    with suppress(OSError, ValueError):
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii").splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) * 1024
    return 0
