"""Restores source folders after a build that writes into them."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


@contextmanager
def as_they_were(sources: tuple[Path, ...]) -> Iterator[None]:
    """Take away what build backends leave in source folders, if it was not there before."""
    import shutil  # noqa: PLC0415  # 4 ms that hooks do not pay

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
def without_an_empty_folder(folder: Path) -> Iterator[None]:
    """MLflow up to 3.8 makes it in the current directory, also where it puts nothing there."""
    was_there = folder.exists()
    try:
        yield
    finally:
        if not was_there:
            with suppress(OSError):  # not made, or not empty
                folder.rmdir()
