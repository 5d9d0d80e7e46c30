"""Computes digests of folders and wheels from their bytes, not from timestamps."""

import errno
import hashlib
import os
import re
import shlex
import stat
import tarfile
import zipfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import NoReturn

from ...command.errors import BadInput
from ...core.release.digests import canonical, sha256
from .compressed import decompressing

_PIECE = 1 << 20


def wheel_content(wheel: Path) -> str:
    """The sha256 of the names and contents of a wheel's files, without timestamps."""
    with zipfile.ZipFile(wheel) as archive:
        return sha256(canonical(sorted((name, sha256(archive.read(name))) for name in archive.namelist())))


def wheel_inputs(wheel: Path) -> str:
    """
    The sha256 of everything in a wheel that its code can depend on: without long description, licences and RECORD.

    The long description is usually the project's README.
    """
    with zipfile.ZipFile(wheel) as archive:
        return sha256(canonical(sorted(_entry(archive, name) for name in archive.namelist() if _is_input(name))))


def _is_input(name: str) -> bool:
    folder, _, rest = name.partition("/")
    return not folder.endswith(".dist-info") or not (rest == "RECORD" or rest.startswith(("licenses/", "LICEN")))


def _entry(archive: zipfile.ZipFile, name: str) -> tuple[str, str]:
    data = archive.read(name)
    if name.endswith(".dist-info/METADATA"):
        headers = data.replace(b"\r\n", b"\n").partition(b"\n\n")[0]
        data = re.sub(rb"^(?:Description|License-File)\b[^\n]*(?:\n[ \t][^\n]*)*", b"", headers, flags=re.MULTILINE)
    return name, sha256(data)


def digests_in(folder: Path) -> Iterator[tuple[PurePosixPath, str]]:
    """
    (POSIX path, sha256) of every file below a folder; links to files are followed.

    A folder that does not exist has none. Raises BadInput for what would be left out: a link to a folder, what is
    neither file nor folder, and what cannot be read.
    """
    if not os.path.lexists(folder):
        return
    for base, folders, names in os.walk(folder, onerror=_refuse_unreadable):
        folders.sort()
        for name in folders:
            if (linked := Path(base, name)).is_symlink():
                raise _not_compared(linked, "it is a link to a folder")
        for name in sorted(names):
            path = Path(base, name)
            yield PurePosixPath(path.relative_to(folder).as_posix()), file_digest(path)


def digests_in_archive(archive: Path, top: PurePosixPath) -> Iterator[tuple[PurePosixPath, str]]:
    """(POSIX path relative to `top`, sha256) of every file below an absolute path in a tar archive."""
    with decompressing(archive) as stream, tarfile.open(fileobj=stream, mode="r|") as tar:
        for member in tar:
            path = PurePosixPath("/", member.name)
            content = tar.extractfile(member) if member.isreg() and top in path.parents else None
            if content is not None:
                digest = hashlib.sha256()
                while piece := content.read(_PIECE):
                    digest.update(piece)
                yield path.relative_to(top), digest.hexdigest()


def file_digest(path: Path) -> str:
    """The sha256 of a file. Raises BadInput for what cannot be read, or is no file."""
    try:
        # A pipe that nobody writes to is not waited for.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        dangling = error.errno == errno.ENOENT and path.is_symlink()
        why = "it is a link to nothing" if dangling else error.strerror or str(error)
        raise _not_compared(path, why) from error
    with os.fdopen(descriptor, "rb") as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise _not_compared(path, "it is neither a file nor a folder")
        return hashlib.file_digest(file, "sha256").hexdigest()


def _refuse_unreadable(error: OSError) -> NoReturn:
    raise _not_compared(Path(str(error.filename)), error.strerror or str(error)) from error


def _not_compared(path: Path, why: str) -> BadInput:
    return BadInput(what=f"`{path}` cannot be compared", why=why, fix=f"replace {shlex.quote(str(path))} with files")
