"""Makes folders for files that are not complete yet, and removes those that a killed process left behind."""

import fcntl
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory

PREFIX = ".new-"
# A folder is locked a moment after it is made: a younger one is left alone.
YOUNG_S = 60.0


@contextmanager
def new_folder(parent: Path) -> Iterator[Path]:
    """
    Provide a folder below `parent`, from which complete files are moved; it is removed when the block ends.

    It is locked meanwhile, and the lock ends with the process, however that ends. What other processes left there
    without a lock is removed first.
    """
    remove_abandoned(parent)
    with TemporaryDirectory(prefix=PREFIX, dir=parent) as folder:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield Path(folder)
        finally:
            os.close(descriptor)


def remove_abandoned(parent: Path, *, young_s: float = YOUNG_S) -> None:
    """Remove the folders that no process has locked; those of running processes, and links, are left alone."""
    for folder in parent.glob(f"{PREFIX}*"):
        with suppress(OSError):  # removed by another process, or not ours to remove
            descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if time.time() - os.fstat(descriptor).st_mtime > young_s:
                    shutil.rmtree(folder, ignore_errors=True)
            finally:
                os.close(descriptor)
