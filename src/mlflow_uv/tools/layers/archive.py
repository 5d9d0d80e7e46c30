"""Writes a layer of an image: the same entries give the same bytes, on every machine and at every time."""

import hashlib
import io
import os
import tarfile
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import IO, Any

from zlib_ng import zlib_ng

from ...core.image.composition import Blob, Compression, LayerBlob, LayerList, digest_of
from ...payloads.messages.lazy_dataclass import lazy_dataclass
from ..uv.uv import EARLIEST
from .layer_contents import LayerContents, written_list

# The output of zlib-ng and zstandard depends on neither processor nor operating system, see
# docs/development/image-from-wheels.md.
LEVEL = 3
_ZSTD_LEVEL = 3
_GZIP = 31  # the window of 32 KiB, in gzip's format; its header has no time and no file name
_WHEN = int(EARLIEST)
_PIECE = 1 << 20
_MOST = 8**11 - 1  # bytes of a file whose size is written as octal digits


@lazy_dataclass
class LayerFile:
    """A file of a layer: its content, on disk or in memory, or the `target` of a symbolic link."""

    source: Path | None = None
    data: bytes = b""
    executable: bool = False
    target: str = ""

    @property
    def mode(self) -> int:
        """Its mode in the layer."""
        return 0o755 if self.executable else 0o644


def write_layer(  # noqa: PLR0913  # what a layer is made of
    name: str,
    files: Mapping[PurePosixPath, LayerFile],
    out: Path,
    *,
    existing: frozenset[PurePosixPath] = frozenset(),
    compression: Compression = Compression.GZIP,
    contents: LayerContents | None = None,
) -> LayerBlob:
    """
    Write a layer of files at absolute paths, compressed, and return its digests; its `contents` are listed at the end.

    The entries are sorted by path and owned by root; their folders are added, except for those that are `existing` in
    a lower layer and keep their modes and owners. Raises OSError, ValueError for a path that is relative, is not
    normal, or leads through a file of the layer.
    """
    paths = _with_folders(files)
    entries = sorted(((path, paths[path]) for path in paths.keys() - existing), key=lambda entry: entry[0].parts)
    with out.open("wb") as raw:
        stream = _Digesting(raw, compression)
        for path, file in entries:
            _add(stream, path, file)
        end = 2 * tarfile.BLOCKSIZE
        stream.write(bytes(end + -(stream.written + end) % tarfile.RECORDSIZE))
        return stream.finish(name, b"" if contents is None else written_list(contents, compression))


def compress_archive(name: str, archive: Path, out: Path, *, compression: Compression = Compression.GZIP) -> LayerBlob:
    """Compress a layer that another program wrote, byte for byte, and return its digests. Raises OSError."""
    with archive.open("rb", buffering=0) as read, out.open("wb") as raw:
        stream = _Digesting(raw, compression)
        stream.copy(read, os.fstat(read.fileno()).st_size)
        return stream.finish(name, b"")


def compressor_identity(compression: Compression) -> object:
    """What the bytes of a compressed archive depend on beside its content and the release of the library."""
    return LEVEL if compression is Compression.GZIP else [compression.value, _ZSTD_LEVEL]


def _compressor(compression: Compression) -> Any:
    if compression is Compression.GZIP:
        return zlib_ng.compressobj(LEVEL, zlib_ng.DEFLATED, _GZIP)
    import zstandard  # noqa: PLC0415  # few images need it

    return zstandard.ZstdCompressor(level=_ZSTD_LEVEL, threads=0).compressobj()


def _with_folders(files: Mapping[PurePosixPath, LayerFile]) -> dict[PurePosixPath, LayerFile | None]:
    """The files, and None for each folder above one."""
    entries: dict[PurePosixPath, LayerFile | None] = {}
    for path in files:
        parts = path.parts
        if not path.is_absolute() or ".." in parts or len(parts) == 1:
            raise ValueError(f"{path} is no path of a file in an image")
        folder, depth = path.parent, len(parts) - 1
        while depth > 1 and folder not in entries:
            entries[folder] = None
            folder, depth = folder.parent, depth - 1
    if both := sorted(entries.keys() & files.keys()):
        raise ValueError(f"{both[0]} is both a file and a folder")
    return {**entries, **files}


def _add(stream: "_Digesting", path: PurePosixPath, file: LayerFile | None) -> None:
    """Write the header and the content of an entry."""
    name = str(path)[1:]
    if file is None:
        stream.write(_header(f"{name}/", 0o755, tarfile.DIRTYPE))
    elif file.target:
        stream.write(_header(name, 0o777, tarfile.SYMTYPE, target=file.target))
    elif file.source is None:
        stream.write(_header(name, file.mode, tarfile.REGTYPE, size=len(file.data)))
        stream.write(file.data)
        stream.write(bytes(-len(file.data) % tarfile.BLOCKSIZE))
    else:
        with file.source.open("rb", buffering=0) as content:
            size = os.fstat(content.fileno()).st_size
            stream.write(_header(name, file.mode, tarfile.REGTYPE, size=size))
            stream.copy(content, size)
        stream.write(bytes(-size % tarfile.BLOCKSIZE))


def _header(name: str, mode: int, kind: bytes, *, size: int = 0, target: str = "") -> bytes:
    """
    The header of an entry as `tarfile` writes it, in a tenth of the time; those of long names are from `tarfile`.

    It has no owner, so that the fields of user and group are zero.
    """
    if not (name.isascii() and target.isascii()) or max(len(name), len(target)) > tarfile.LENGTH_NAME or size > _MOST:
        entry = tarfile.TarInfo(name)
        entry.mtime, entry.mode, entry.type, entry.size, entry.linkname = _WHEN, mode, kind, size, target
        return entry.tobuf(tarfile.PAX_FORMAT)
    start = b"%b%07o\0%b%011o\0%011o\0" % (name.encode().ljust(100, b"\0"), mode, b"0000000\0" * 2, size, _WHEN)
    end = b"%b%bustar\x0000" % (kind, target.encode().ljust(100, b"\0"))
    header = (b"%b        %b" % (start, end)).ljust(tarfile.BLOCKSIZE, b"\0")
    return b"%b%06o\0 %b" % (start, sum(header), header[len(start) + 8 :])


class _Digesting:
    """Compresses what is written to it, and digests it before and after."""

    def __init__(self, raw: IO[bytes], compression: Compression) -> None:
        self._raw = raw
        self._compression = compression
        self._compressor = _compressor(compression)
        self._before, self._after = hashlib.sha256(), hashlib.sha256()
        self._size = 0
        # What is written becomes pieces of one size, however small the writes are.
        self._piece = bytearray(_PIECE)
        self._filled = 0
        self.written = 0

    def write(self, data: bytes) -> None:
        """Compress and write."""
        rest = memoryview(data)
        while rest:
            free = self._free()
            part = min(len(free), len(rest))
            free[:part] = rest[:part]
            self._fill(part)
            rest = rest[part:]

    def copy(self, content: io.FileIO, size: int) -> None:
        """Compress and write so many bytes of an unbuffered file. Raises OSError if it has fewer."""
        while size:
            read = content.readinto(self._free()[:size])
            if not read:
                raise OSError("a file became shorter while it was read")
            self._fill(read)
            size -= read

    def finish(self, name: str, listed: bytes) -> LayerBlob:
        """End the archive, and write the list behind it if there is one; its digests."""
        self._compress()
        self._store(self._compressor.flush())
        self._store(listed)
        blob = Blob(
            media_type=self._compression.media_type, digest=f"sha256:{self._after.hexdigest()}", size=self._size
        )
        end = LayerList(digest=digest_of(listed), size=len(listed)) if listed else None
        return LayerBlob(name=name, blob=blob, diff_id=f"sha256:{self._before.hexdigest()}", listed=end)

    def _free(self) -> memoryview:
        """The part of the piece that is to be filled; a full one is compressed only when more comes."""
        if self._filled == _PIECE:
            self._compress()
        return memoryview(self._piece)[self._filled :]

    def _fill(self, count: int) -> None:
        self._filled += count
        self.written += count

    def _compress(self) -> None:
        piece = memoryview(self._piece)[: self._filled]
        self._before.update(piece)
        self._store(self._compressor.compress(piece))
        self._filled = 0

    def _store(self, data: bytes) -> None:
        self._after.update(data)
        self._size += len(data)
        self._raw.write(data)
