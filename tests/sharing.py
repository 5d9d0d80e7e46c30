"""A folder of one run of the tests, in which its processes make once what each of them needs."""

import fcntl
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest


@dataclass(frozen=True, kw_only=True, slots=True)
class SharedFolder:
    """A folder that all processes of a run have. What is in it is not changed by any test."""

    folder: Path

    def make_once(self, name: str, make: Callable[[Path], object]) -> Path:
        """The path of that name, after one process has made it; the others wait until it is complete."""
        path, complete = self.folder / name, self.folder / f"{name}.complete"
        with (self.folder / f"{name}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not complete.exists():
                shutil.rmtree(path, ignore_errors=True)  # of an attempt that failed
                make(path)
                complete.touch()
        return path


def shared_folder(temporary: pytest.TempPathFactory) -> SharedFolder:
    """The folder of this run: beside those that pytest-xdist makes, one for each process."""
    base = temporary.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "shared"
    folder.mkdir(exist_ok=True)
    return SharedFolder(folder=folder)
