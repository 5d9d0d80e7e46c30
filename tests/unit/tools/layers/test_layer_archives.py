"""Layers that others wrote are read within limits."""

import gzip
from pathlib import Path, PurePosixPath

import pytest

from mlflow_uv.core.image.composition import GZIP_TYPE, LAYER_TYPE, ZSTD_TYPE, Blob, Compression
from mlflow_uv.tools.layers.archive import LayerFile, write_layer
from mlflow_uv.tools.layers.layer_archives import MALFORMED, decompressed, opened_archive

FILES = {PurePosixPath("/a"): LayerFile(data=b"x" * 3000)}


@pytest.mark.parametrize("compression", Compression)
def test_a_layer_is_unpacked_and_digested(tmp_path: Path, compression: Compression) -> None:
    """
    The digest is the `diff_id` of its configuration; a layer that is not compressed is read, too.
    """
    layer = write_layer("x", FILES, tmp_path / "layer.gz", compression=compression)
    most = 1 << 20

    unpacked = decompressed(tmp_path / "layer.gz", layer.blob, tmp_path / "layer.tar", most)
    blob = Blob(media_type=LAYER_TYPE, digest=layer.diff_id, size=(tmp_path / "layer.tar").stat().st_size)
    again = decompressed(tmp_path / "layer.tar", blob, tmp_path / "again.tar", most)

    assert [layer.diff_id] * 2 == [unpacked, again]
    with opened_archive(tmp_path / "again.tar") as tar:
        assert ["a"] == tar.getnames()


def test_a_layer_that_unpacks_to_too_much_is_refused(tmp_path: Path) -> None:
    """
    Before all of it is written.
    """
    layer = write_layer("x", FILES, tmp_path / "layer.gz")

    with pytest.raises(ValueError, match="its layers have more than"):
        decompressed(tmp_path / "layer.gz", layer.blob, tmp_path / "layer.tar", 3000)

    assert (tmp_path / "layer.tar").stat().st_size <= 3000


@pytest.mark.parametrize(
    ("media_type", "content"),
    [(GZIP_TYPE, b"none"), (ZSTD_TYPE, gzip.compress(b"")), ("application/x", gzip.compress(b""))],
    ids=["no gzip", "gzip as zstd", "gzip as something else"],
)
def test_what_is_no_layer_is_malformed(tmp_path: Path, media_type: str, content: bytes) -> None:
    """
    Callers catch these errors.
    """
    (tmp_path / "layer").write_bytes(content)
    blob = Blob(media_type=media_type, digest="sha256:0", size=1)

    with pytest.raises(MALFORMED):
        decompressed(tmp_path / "layer", blob, tmp_path / "layer.tar", 1 << 20)
