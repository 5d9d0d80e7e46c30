"""Locks the environments that this process uses, and removes those of a cache that nobody used for long."""

import fcntl
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from ..system.partial_folders import PREFIX
from .environment_folder import STATE_SUFFIX

MOST = 20  # environments that are kept however they are used
LONGEST_S = 30 * 86_400.0
RECENT_S = 86_400.0  # used by the steps of one release, which are processes of their own
_CONFIGURATION = "pyvenv.cfg"


def hold(folder: Path, held: dict[Path, int]) -> None:
    """
    Note that an environment is used, and let no process remove it; nothing if there is none.

    `held` gets a descriptor with a shared lock on its folder, which ends with this process. The time of a folder is
    that of its last use; nothing compares it with anything else.
    """
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    except OSError:
        return
    fcntl.flock(descriptor, fcntl.LOCK_SH)
    with suppress(OSError):  # a folder of somebody else
        os.utime(descriptor)
    if (earlier := held.get(folder)) is not None:
        os.close(earlier)
    held[folder] = descriptor


def remove_unused(parent: Path, *, now_s: float) -> None:
    """
    Remove the environments below a folder that were not used for LONGEST_S, and the oldest if there are more than MOST.

    One that a process uses stays, and so does one that was used within RECENT_S.
    """
    found = sorted(parent.glob(f"[!.]*/{_CONFIGURATION}"), key=lambda file: -_last_use(file.parent))
    for position, file in enumerate(found):
        folder = file.parent
        too_old = LONGEST_S if position < MOST else RECENT_S
        if not folder.is_symlink() and now_s - _last_use(folder) > too_old:
            _remove(folder, before_s=now_s - too_old)


def _remove(folder: Path, *, before_s: float) -> None:
    """Remove an environment, unless a process uses it or has used it since a time."""
    with suppress(OSError), _alone(folder):
        if _last_use(folder) < before_s:
            removed = folder.rename(folder.with_name(f"{PREFIX}{os.urandom(8).hex()}"))
            folder.with_name(f"{folder.name}{STATE_SUFFIX}").unlink(missing_ok=True)
            shutil.rmtree(removed, ignore_errors=True)


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    finally:
        os.close(descriptor)


def _last_use(folder: Path) -> float:
    try:
        return folder.stat().st_mtime
    except OSError:
        return time.time()
