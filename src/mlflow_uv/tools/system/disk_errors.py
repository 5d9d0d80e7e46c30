"""Raises errors of a disk while something is written as NoSpace or ToolFailed."""

from collections.abc import Iterator
from contextlib import contextmanager
from errno import ENOENT, ENOSPC
from pathlib import Path

from ...command.errors import NoSpace, ToolFailed

AGAIN = "run the step again, while nothing else removes files there"


@contextmanager
def disk_errors(thing: str, place: Path, *, fix: str = "free space there") -> Iterator[None]:
    """
    Raise an OSError of the block as NoSpace, with a fix, if a disk is full, else as ToolFailed.

    The fix of what is not there is to run the step again: it was there, and somebody removed it.

    `thing` is what is written, and `place` where, if the error names no file.
    """
    try:
        yield
    except OSError as error:
        what, why = f"{thing} cannot be written", f"{error.strerror or error}: {error.filename or place}"
        if error.errno == ENOSPC:
            raise NoSpace(what=what, why=why, fix=fix) from error
        raise ToolFailed(what=what, why=why, fix=AGAIN if error.errno == ENOENT else "") from error
