"""Reads archives of layers that others wrote, within limits of size."""

import hashlib
import tarfile
from pathlib import Path, PurePosixPath
from typing import Self

from ...core.image.composition import GZIP_TYPE, LAYER_TYPE, ZSTD_TYPE, Blob
from ..system.compressed import Format, decompressing, format_of

MOST_UNPACKED = 64 << 30  # bytes of all unpacked layers: compressed ones of a few megabytes could fill a disk
# What reading an archive or a document of an image raises that is not well-formed.
MALFORMED = (ValueError, LookupError, TypeError, RecursionError, EOFError, tarfile.TarError)
MOST_PATHS = 1_000_000  # of an image; one of CUDA and Conda has half of that
_MOST_PATH = 4096  # characters of a path, as in Linux
_FORMATS = {GZIP_TYPE: Format.GZIP, ZSTD_TYPE: Format.ZSTD, LAYER_TYPE: Format.PLAIN}
_PIECE = 1 << 20
_MOST_HEADER = 1 << 20  # bytes of an extended header, which are read into memory
# The types of headers that extend the next one: PAX, and long names of GNU tar.
_EXTENDED = frozenset({b"x", b"g", b"X", b"L", b"K"})


class _BoundedHeader(tarfile.TarInfo):
    """A header of an archive; one that says that megabytes of headers follow is refused before they are read."""

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> Self:
        """See TarInfo."""
        header = super().frombuf(buf, encoding, errors)
        if header.type in _EXTENDED and header.size > _MOST_HEADER:
            raise ValueError(f"a layer has a header of {header.size} bytes")
        return header


def opened_archive(archive: Path) -> tarfile.TarFile:
    """An uncompressed archive. Raises OSError, TarError."""
    return tarfile.open(archive, "r:", tarinfo=_BoundedHeader)


def path_of(member: tarfile.TarInfo) -> PurePosixPath:
    """The absolute path in the image. Raises ValueError for one that leads through `..`, or is too long."""
    name = member.name
    if len(name) > _MOST_PATH or ".." in name.split("/"):
        raise ValueError(f"a layer has the path {name[:100]!r}")
    return PurePosixPath(f"/{name.lstrip('/')}")


def decompressed(archive: Path, blob: Blob, target: Path, most: int) -> str:
    """Unpack a layer of at most so many bytes; the digest of what is in it. Raises what is in MALFORMED, OSError."""
    if blob.media_type not in _FORMATS:
        raise ValueError(f"a layer has the type {blob.media_type}, which is not supported")
    if format_of(archive) is not _FORMATS[blob.media_type]:
        raise ValueError(f"a layer is not compressed as its type {blob.media_type} says")
    target.parent.mkdir(parents=True, exist_ok=True)
    digest, size = hashlib.sha256(), 0
    with decompressing(archive) as source, target.open("wb") as out:
        while piece := source.read(_PIECE):
            size += len(piece)
            if size > most:
                raise ValueError(f"its layers have more than {MOST_UNPACKED >> 30} GiB")
            digest.update(piece)
            out.write(piece)
    return f"sha256:{digest.hexdigest()}"
