"""Reads a file from an untrusted source: no link, no device, and no more bytes than allowed."""

import os
import stat
from pathlib import Path

from ...command.errors import BadInput


def read_untrusted(path: Path, *, limit: int) -> bytes:
    """Return the bytes of a regular file. Raises BadInput for anything else, and for more than `limit` bytes."""
    what, fix = f"`{path}` is not read", f"name a regular file of at most {limit} bytes"
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        why = "it is a symbolic link" if path.is_symlink() else error.strerror or str(error)
        raise BadInput(what=what, why=why, fix=fix) from error
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise BadInput(what=what, why="it is not a regular file", fix=fix)
    with os.fdopen(descriptor, "rb") as file:
        data = file.read(limit + 1)
    if len(data) > limit:
        raise BadInput(what=what, why=f"it is larger than {limit} bytes", fix=fix)
    return data
