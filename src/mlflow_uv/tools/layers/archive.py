"""Writes a layer of an image: the same entries give the same bytes, on every machine and at every time."""

import hashlib
import io
import tarfile
from collections.abc import Mapping
from contextlib import AbstractContextManager
from pathlib import Path, PurePosixPath
from typing import IO, Any, Self

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


@lazy_dataclass
class LayerFile:
    """A file of a layer: its content, on disk or in memory, or the `target` of a symbolic link."""

    source: Path | None = None
    data: bytes = b""
    executable: bool = False
    target: str = ""


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
    with out.open("wb") as raw, _Digesting(raw, compression) as stream:
        with tarfile.open(fileobj=stream, mode="w", format=tarfile.PAX_FORMAT) as tar:
            for path, file in entries:
                _add(tar, path, file)
        return stream.finish(name, b"" if contents is None else written_list(contents, compression))


def compress_archive(name: str, archive: Path, out: Path, *, compression: Compression = Compression.GZIP) -> LayerBlob:
    """Compress a layer that another program wrote, byte for byte, and return its digests. Raises OSError."""
    with archive.open("rb") as read, out.open("wb") as raw, _Digesting(raw, compression) as stream:
        while piece := read.read(_PIECE):
            stream.write(piece)
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


def _add(tar: tarfile.TarFile, path: PurePosixPath, file: LayerFile | None) -> None:
    entry = tarfile.TarInfo(str(path)[1:])
    entry.mtime, entry.mode = _WHEN, 0o755
    if file is None:
        entry.type = tarfile.DIRTYPE
        tar.addfile(entry)
    elif file.target:
        entry.type, entry.linkname, entry.mode = tarfile.SYMTYPE, file.target, 0o777
        tar.addfile(entry)
    else:
        entry.mode = 0o755 if file.executable else 0o644
        with _opened(file) as content:
            entry.size = content.seek(0, io.SEEK_END)
            content.seek(0)
            tar.addfile(entry, content)


def _opened(file: LayerFile) -> IO[bytes]:
    return io.BytesIO(file.data) if file.source is None else file.source.open("rb")


class _Digesting(io.RawIOBase, AbstractContextManager["_Digesting"]):
    """Compresses what is written to it, and digests it before and after."""

    def __init__(self, raw: IO[bytes], compression: Compression) -> None:
        super().__init__()
        self._raw = raw
        self._compression = compression
        self._compressor = _compressor(compression)
        self._before, self._after = hashlib.sha256(), hashlib.sha256()
        self._size = 0
        self._waiting = bytearray()  # what is written becomes pieces of one size, however small the writes are
        self._written = 0

    def __enter__(self) -> Self:
        return self

    def writable(self) -> bool:
        """True."""
        return True

    def tell(self) -> int:
        """How much was written."""
        return self._written

    def write(self, data: object) -> int:
        """Compress and write."""
        self._waiting += data  # type: ignore[arg-type]
        while len(self._waiting) > _PIECE:
            self._compress(bytes(self._waiting[:_PIECE]))
            del self._waiting[:_PIECE]
        length = len(data)  # type: ignore[arg-type]
        self._written += length
        return length

    def finish(self, name: str, listed: bytes) -> LayerBlob:
        """End the archive, and write the list behind it if there is one; its digests."""
        self._compress(bytes(self._waiting))
        self._store(self._compressor.flush())
        self._store(listed)
        blob = Blob(
            media_type=self._compression.media_type, digest=f"sha256:{self._after.hexdigest()}", size=self._size
        )
        end = LayerList(digest=digest_of(listed), size=len(listed)) if listed else None
        return LayerBlob(name=name, blob=blob, diff_id=f"sha256:{self._before.hexdigest()}", listed=end)

    def _compress(self, piece: bytes) -> None:
        self._before.update(piece)
        self._store(self._compressor.compress(piece))

    def _store(self, data: bytes) -> None:
        self._after.update(data)
        self._size += len(data)
        self._raw.write(data)
