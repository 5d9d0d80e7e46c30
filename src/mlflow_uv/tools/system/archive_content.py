"""Computes digests of wheels and of folders in archives from their bytes, not from timestamps."""

import hashlib
import re
import tarfile
import zipfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

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
