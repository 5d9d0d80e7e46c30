"""Computes digests of folders from their bytes, not from timestamps."""

import errno
import hashlib
import os
import shlex
import stat
from collections.abc import Iterator
from io import BufferedReader
from pathlib import Path, PurePosixPath
from typing import NoReturn

from ...command.errors import BadInput


def digests_in(folder: Path, without: frozenset[str] = frozenset()) -> Iterator[tuple[PurePosixPath, str]]:
    """
    (POSIX path, sha256) of every file below a folder; links to files are followed, folders `without` names left out.

    A folder that does not exist has none. Raises BadInput for what would be left out: a link to a folder, what is
    neither file nor folder, and what cannot be read.
    """
    if not os.path.lexists(folder):
        return
    for base, folders, names in os.walk(folder, onerror=_refuse_unreadable):
        folders[:] = sorted(name for name in folders if name not in without)
        for name in folders:
            if (linked := Path(base, name)).is_symlink():
                raise _not_compared(linked, "it is a link to a folder")
        for name in sorted(names):
            path = Path(base, name)
            yield PurePosixPath(path.relative_to(folder).as_posix()), file_digest(path)


def file_digest(path: Path) -> str:
    """The sha256 of a file. Raises BadInput for what cannot be read, or is no file."""
    try:
        file = open_file(path)
    except OSError as error:
        dangling = error.errno == errno.ENOENT and path.is_symlink()
        why = "it is a link to nothing" if dangling else error.strerror or str(error)
        raise _not_compared(path, why) from error
    with file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def open_file(path: Path) -> BufferedReader:
    """
    Open a file for reading. Raises OSError, also for a pipe, a socket or a device, of which none is waited for.

    For files that others made, such as those of a package or a training: opening a pipe that nobody writes to blocks.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(errno.EINVAL, "it is neither a file nor a folder", str(path))
    return os.fdopen(descriptor, "rb")


def _refuse_unreadable(error: OSError) -> NoReturn:
    raise _not_compared(Path(str(error.filename)), error.strerror or str(error)) from error


def _not_compared(path: Path, why: str) -> BadInput:
    return BadInput(what=f"`{path}` cannot be compared", why=why, fix=f"replace {shlex.quote(str(path))} with files")
