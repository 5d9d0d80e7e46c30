"""Extracts tar archives into a folder, out of which nothing gets, and packs folders as zip archives."""

import os
import shutil
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path, PurePosixPath

from .compressed import decompressing


def extract(archive: Path, folder: Path, place: Callable[[str], PurePosixPath | None] = PurePosixPath) -> None:
    """
    Extract files, folders and symbolic links; `place` returns where a name goes, None to leave it out.

    Python has a filter for this since 3.11.4, but 3.11 of Debian 12 is older. As with that filter, nobody but the owner
    can write what is extracted. Raises tarfile.ExtractError for a name or a link that leads out of the folder, and for
    devices and hard links; OSError.
    """
    top = folder.resolve()
    inside: set[Path] = set()  # folders that exist and are in `folder`, until a link is made that they may lead through
    with decompressing(archive) as content, tarfile.open(fileobj=content, mode="r|") as tar:
        for member in tar:
            path = place(member.name)
            if path is not None:
                _extract(tar, member, top, path, inside)


def _extract(tar: tarfile.TarFile, member: tarfile.TarInfo, top: Path, path: PurePosixPath, inside: set[Path]) -> None:
    target = top / path
    folder = target if member.isdir() else target.parent
    if folder not in inside:
        _require_inside(top, folder, member)
        folder.mkdir(parents=True, exist_ok=True)
        inside.add(folder)
    if member.isdir():
        return
    if target.is_symlink() or target.is_file():
        target.unlink()  # a link is not written through
    if member.issym():
        inside.clear()
        _require_inside(top, folder / member.linkname, member)
        target.symlink_to(member.linkname)
    elif (content := tar.extractfile(member) if member.isreg() else None) is not None:
        with content, target.open("xb") as out:
            shutil.copyfileobj(content, out)
        target.chmod(member.mode & 0o755 | 0o600)
        os.utime(target, (member.mtime, member.mtime))
    else:
        raise tarfile.ExtractError(f"`{member.name}` is neither a file nor a folder nor a symbolic link")


def _require_inside(top: Path, path: Path, member: tarfile.TarInfo) -> None:
    if not path.resolve().is_relative_to(top):
        raise tarfile.ExtractError(f"`{member.name}` leads out of the folder")


def zip_folder(archive: Path, folder: Path) -> None:
    """Write the files below a folder as a zip archive: sorted, with one date, and compressed."""
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as packed:
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                entry = zipfile.ZipInfo(path.relative_to(folder).as_posix())
                entry.compress_type = zipfile.ZIP_DEFLATED
                entry.external_attr = 0o644 << 16
                with path.open("rb") as file, packed.open(entry, "w", force_zip64=True) as out:
                    shutil.copyfileobj(file, out)
