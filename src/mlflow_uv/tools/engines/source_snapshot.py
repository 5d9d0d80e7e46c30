"""Restores source folders after a build that writes into them."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


@contextmanager
def restored_sources(sources: tuple[Path, ...]) -> Iterator[None]:
    """Delete the folders that build backends created in source folders while the block ran."""
    before = {path for source in sources for path in _leftovers(source)}
    try:
        yield
    finally:
        for path in {path for source in sources for path in _leftovers(source)} - before:
            shutil.rmtree(path, ignore_errors=True)


def _leftovers(source: Path) -> Iterator[Path]:
    for pattern in ("build", "*.egg-info", "src/*.egg-info"):
        yield from source.glob(pattern)


@contextmanager
def without_empty_folder(folder: Path) -> Iterator[None]:
    """Remove a folder that MLflow up to 3.8 creates in the current directory, if it stays empty."""
    was_there = folder.exists()
    try:
        yield
    finally:
        if not was_there:
            with suppress(OSError):  # not created, or not empty
                folder.rmdir()
