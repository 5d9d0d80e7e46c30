"""Finds the processes that descend from a program, and ends those that it leaves running."""

import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from .marks import all_pids, mark_of, stat_of
from .prctl import adopt_orphans

POLL_S = 0.02
_QUIET_LISTS = 2  # one list may miss children that start meanwhile


class Orphans:
    """
    Ends the processes that foreign programs leave running, in any session.

    On Linux, this process becomes the parent of descendants whose own parent ended (prctl PR_SET_CHILD_SUBREAPER), so
    daemons are found too. A foreign program has a mark in its environment, which its children inherit: it distinguishes
    the orphans of two programs. A process that removed the mark is ended once no foreign program is running. On other
    systems nothing is found.
    """

    def __init__(self) -> None:
        self._adopting: bool | None = None
        self._foreign: set[str] = set()
        self._spared: set[int] = set()
        self.started: set[int] = set()
        self.mutex = threading.Lock()  # held while a program starts, so that no child is taken for an orphan

    def expect(self) -> str:
        """Register a foreign program that is about to start; return its mark."""
        with self.mutex:
            if self._adopting is None:
                self._adopting = adopt_orphans()
            if not self._foreign:
                self._spared |= set(self._unknown())
            mark = os.urandom(16).hex()
            self._foreign.add(mark)
        return mark

    def unregister(self, pid: int) -> None:
        """Unregister a program that is not foreign; its daemons are kept, e.g. an engine's container monitors."""
        with self.mutex:
            self.started.discard(pid)
            if self._adopting:
                self._spared |= {orphan for orphan in self._unknown() if mark_of(orphan) not in self._foreign}

    def end(self, pid: int | None, mark: str, *, grace_s: float) -> tuple[str, ...]:
        """End the processes that a foreign program left, with SIGTERM, after `grace_s` SIGKILL; return their names."""
        with self.mutex:
            self.started.discard(pid or 0)
            self._foreign.discard(mark)
        ended: dict[int, str] = {}
        forced_from = time.monotonic() + grace_s
        give_up = forced_from + grace_s
        quiet = 0
        while quiet < _QUIET_LISTS and time.monotonic() < give_up:
            with self.mutex:
                left = [orphan for orphan in self._candidates(mark) if self._is_left(orphan, mark)]
                for orphan in left:
                    force = time.monotonic() >= forced_from
                    if force or orphan not in ended:
                        ended.setdefault(orphan, _name_of(orphan))
                        with suppress(ProcessLookupError, PermissionError):
                            os.kill(orphan, signal.SIGKILL if force else signal.SIGTERM)
            quiet = 0 if left else quiet + 1
            if left:
                time.sleep(POLL_S)
        return tuple(ended.values())

    def _candidates(self, mark: str) -> list[int]:
        if self._adopting:
            return self._unknown()
        return [pid for pid in all_pids() if pid != os.getpid() and mark_of(pid) == mark]

    def _is_left(self, pid: int, mark: str) -> bool:
        """Whether an orphan of this program, or of an ended one, still runs; ended orphans are reaped."""
        if mark_of(pid) != mark and self._foreign:
            return False
        with suppress(ChildProcessError):
            return os.waitpid(pid, os.WNOHANG)[0] == 0
        return Path(f"/proc/{pid}").exists()

    def _unknown(self) -> list[int]:
        return [pid for pid in _children(os.getpid()) if pid not in self.started and pid not in self._spared]


def end_other_sessions(pid: int) -> None:
    """End the descendants of a program in sessions other than its own."""
    for descendant in descendants_of(pid):
        with suppress(ProcessLookupError, PermissionError):
            if os.getsid(descendant) != pid:
                os.kill(descendant, signal.SIGKILL)


def descendants_of(pid: int) -> Iterator[int]:
    """Yield the processes that a process started, and those that these started; none on systems without /proc."""
    for child in _children(pid):
        yield child
        yield from descendants_of(child)


def _children(pid: int) -> list[int]:
    """The children of a process; searched in /proc if the kernel does not list them."""
    pids = []
    listed = False
    with suppress(OSError):  # the process ended meanwhile, or there is no /proc
        for thread in Path(f"/proc/{pid}/task").iterdir():
            with suppress(OSError):
                pids += [int(child) for child in (thread / "children").read_text(encoding="ascii").split()]
                listed = True
    if not listed:
        return [child for child in all_pids() if (stat := stat_of(child)) and stat[1] == pid]
    return pids


def _name_of(pid: int) -> str:
    with suppress(OSError):
        return Path(f"/proc/{pid}/comm").read_text(encoding="utf-8", errors="replace").strip()
    return "?"
