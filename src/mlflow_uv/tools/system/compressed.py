"""Opens files that are compressed by gzip or zstd, or by neither, and reads what is in them."""

import gzip
from collections.abc import Iterator
from contextlib import contextmanager
from enum import Enum
from pathlib import Path
from typing import IO, Any, cast

from zlib_ng import gzip_ng, zlib_ng

_MOST_WINDOW = 1 << 27  # bytes that decompression may keep in memory: what the specification of zstd recommends


class Format(Enum):
    """How a file is compressed, by its first bytes."""

    GZIP = b"\x1f\x8b"
    ZSTD = b"\x28\xb5\x2f\xfd"
    PLAIN = b""


class DamagedFile(OSError, ValueError):
    """What is compressed cannot be read."""


def format_of(file: Path) -> Format:
    """How a file is compressed. Raises OSError."""
    with file.open("rb") as opened:
        start = opened.read(4)
    return next(kind for kind in Format if start.startswith(kind.value))


@contextmanager
def decompressing(file: Path) -> Iterator[IO[bytes]]:
    """Provide the content of a file. Raises OSError, DamagedFile also while it is read in the block."""
    kind, open_gzip = format_of(file), cast("Any", gzip_ng.open)  # it has no types
    damage: tuple[Any, ...] = (EOFError, gzip.BadGzipFile, zlib_ng.error)
    with file.open("rb") as opened:
        content: Any = opened
        if kind is Format.GZIP:
            content = open_gzip(opened, "rb")
        elif kind is Format.ZSTD:
            import zstandard  # noqa: PLC0415  # few images need it

            damage = (*damage, zstandard.ZstdError)
            content = zstandard.ZstdDecompressor(max_window_size=_MOST_WINDOW).stream_reader(
                opened, read_across_frames=True, closefd=False
            )
        try:
            yield content
        except damage as error:
            raise DamagedFile(f"{file.name} is damaged: {error}") from error
