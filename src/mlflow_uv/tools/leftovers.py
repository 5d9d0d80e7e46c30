"""Keeps source folders as they were before a build."""

from collections.abc import Iterator
from contextlib import contextmanager
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
