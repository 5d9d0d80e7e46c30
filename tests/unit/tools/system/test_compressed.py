"""Files are read as they are compressed, and damage is said."""

import gzip
from pathlib import Path

import pytest
import zstandard

from mlflow_uv.tools.system.compressed import DamagedFile, Format, decompressing, format_of

CONTENT = b"vin rouge\n" * 10_000
KINDS = {
    Format.GZIP: gzip.compress(CONTENT[:50_000]) + gzip.compress(CONTENT[50_000:]),
    Format.ZSTD: zstandard.compress(CONTENT[:50_000]) + zstandard.compress(CONTENT[50_000:]),
    Format.PLAIN: CONTENT,
}


@pytest.mark.parametrize("kind", Format)
def test_a_file_is_read_whatever_compressed_it(tmp_path: Path, kind: Format) -> None:
    """
    Also one of several parts, as some builders write them.
    """
    file = tmp_path / "file"
    file.write_bytes(KINDS[kind])

    with decompressing(file) as content:
        found = b"".join(iter(lambda: content.read(1000), b""))

    assert (kind, CONTENT) == (format_of(file), found)


@pytest.mark.parametrize("kind", [Format.GZIP, Format.ZSTD])
def test_damage_is_said(tmp_path: Path, kind: Format) -> None:
    """
    Not as the error of a library that callers do not know.
    """
    data = bytearray(KINDS[kind])
    data[10:40] = bytes(30)
    (tmp_path / "file").write_bytes(data)

    with pytest.raises(DamagedFile, match="file is damaged"), decompressing(tmp_path / "file") as content:
        content.read()


def test_a_frame_that_wants_gigabytes_of_memory_is_refused(tmp_path: Path) -> None:
    """
    A few bytes of a hostile image could ask for them.
    """
    parameters = zstandard.ZstdCompressionParameters(window_log=28, compression_level=1, format=zstandard.FORMAT_ZSTD1)
    compressor = zstandard.ZstdCompressor(compression_params=parameters).compressobj()
    (tmp_path / "file").write_bytes(compressor.compress(CONTENT) + compressor.flush())

    with pytest.raises(DamagedFile, match="memory"), decompressing(tmp_path / "file") as content:
        content.read()
