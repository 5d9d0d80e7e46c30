"""The bytes of a layer."""

import gzip
import io
import os
import tarfile
from pathlib import Path, PurePosixPath

import pytest

from mlflow_uv.core.image.composition import Compression, digest_of
from mlflow_uv.tools.layers.archive import LayerFile, compress_archive, write_layer
from mlflow_uv.tools.system.compressed import decompressing

TOP = PurePosixPath("/opt/venv")
FILES = {
    TOP / "lib" / "grape.py": LayerFile(data=b"colour = 'red'\n" * 100),
    TOP / "lib" / "traube_äöü_葡萄.py": LayerFile(data=b""),
    TOP / "lib" / ("long" * 40) / "name.py": LayerFile(data=b"1\n"),
    TOP / "bin" / "grape": LayerFile(data=b"#!/opt/venv/bin/python\n", executable=True),
    TOP / "lib64": LayerFile(target="lib"),
}
# What zlib-ng 1.1.0 at LEVEL makes of them: another digest would change every image.
DIGEST = "sha256:6952d813dde3e7035e1a17354b011497c48c394e67b03271b0dfd315c4c984f8"
ZSTD_DIGEST = (
    "sha256:90982e21a6e3f4afca5ee01001fd98fb03c62ba285936ff3e853bd6039137784"  # what zstandard 0.25.0 makes of them
)
DIFF_ID = "sha256:786f662ef8a224f860c0842189383c1a5d1aeb2c0000f55b36996f33a114067a"


def members(archive: Path) -> list[tarfile.TarInfo]:
    """The entries of a layer in their order."""
    with tarfile.open(archive) as tar:
        return tar.getmembers()


def test_the_same_files_give_the_same_bytes_in_any_order(tmp_path: Path) -> None:
    """
    On every machine: these are the digests that any other one computed.
    """
    forth = write_layer("grape", FILES, tmp_path / "forth")
    back = write_layer("grape", dict(reversed(FILES.items())), tmp_path / "back")

    assert (DIGEST, DIFF_ID) == (forth.blob.digest, forth.diff_id)
    assert forth == back
    assert (tmp_path / "forth").read_bytes() == (tmp_path / "back").read_bytes()


def test_zstd_gives_the_same_bytes_of_the_same_archive(tmp_path: Path) -> None:
    """
    The archive in it is that of gzip; its own digest is what any other machine computed.
    """
    layer = write_layer("grape", FILES, tmp_path / "layer", compression=Compression.ZSTD)
    again = write_layer("grape", dict(reversed(FILES.items())), tmp_path / "again", compression=Compression.ZSTD)
    compressed = compress_archive("x", decompressed(tmp_path / "layer"), tmp_path / "x", compression=Compression.ZSTD)

    assert (ZSTD_DIGEST, DIFF_ID) == (layer.blob.digest, layer.diff_id)
    assert ("application/vnd.oci.image.layer.v1.tar+zstd", layer) == (layer.blob.media_type, again)
    assert layer.diff_id == compressed.diff_id


def decompressed(archive: Path) -> Path:
    """The archive that was compressed, as a file."""
    plain = archive.with_suffix(".tar")
    with decompressing(archive) as content:
        plain.write_bytes(content.read())
    return plain


def test_digests_and_size_are_those_of_the_archive(tmp_path: Path) -> None:
    """
    A registry compares the first, an engine the second.
    """
    layer = write_layer("grape", FILES, tmp_path / "layer")

    written = (tmp_path / "layer").read_bytes()
    assert (digest_of(written), len(written)) == (layer.blob.digest, layer.blob.size)
    assert digest_of(gzip.decompress(written)) == layer.diff_id


def test_entries_are_owned_by_root_sorted_and_of_one_date(tmp_path: Path) -> None:
    """
    A file on disk brings its content alone: neither its owner nor its mode or time.
    """
    source = tmp_path / "source"
    source.write_bytes(b"x" * 3_000_000)
    source.chmod(0o600)
    files = {**FILES, TOP / "lib" / "large.so": LayerFile(source=source)}

    write_layer("grape", files, tmp_path / "layer")

    entries = members(tmp_path / "layer")
    assert {(0, 0, "", "", 315532800)} == {(e.uid, e.gid, e.uname, e.gname, e.mtime) for e in entries}
    assert [entry.name for entry in entries] == sorted((e.name for e in entries), key=PurePosixPath)
    modes = {entry.name: oct(entry.mode) for entry in entries}
    assert {"0o755"} == {modes["opt"], modes["opt/venv/lib"], modes["opt/venv/bin/grape"]}
    assert {"0o644"} == {modes["opt/venv/lib/grape.py"], modes["opt/venv/lib/large.so"]}
    assert ["lib"] == [entry.linkname for entry in entries if entry.issym()]


def test_extended_headers_are_written_only_where_a_name_needs_one(tmp_path: Path) -> None:
    """
    They hold nothing but names: a time or an owner in one would differ between machines.
    """
    write_layer("grape", FILES, tmp_path / "layer")

    headers = {entry.name.rpartition("/")[2]: set(entry.pax_headers) for entry in members(tmp_path / "layer")}
    assert {"traube_äöü_葡萄.py": {"path"}, "name.py": {"path"}, "long" * 40: {"path"}} == {
        name: keys for name, keys in headers.items() if keys
    }


def test_the_archive_has_the_bytes_that_tarfile_writes(tmp_path: Path) -> None:
    """
    Names around the longest in a header, content around the size of blocks and pieces, links and folders.
    """
    sizes = (0, 1, 511, 512, 513, (1 << 20) - 512, 1 << 20, (1 << 20) + 1, 3 << 20)
    for size in sizes:
        (tmp_path / f"{size}").write_bytes(os.urandom(size))
    files = {
        **FILES,
        **{TOP / "sizes" / f"{size}": LayerFile(source=tmp_path / f"{size}") for size in sizes},
        **{TOP / "names" / ("n" * length): LayerFile(data=b"x" * length) for length in range(75, 95)},
        **{TOP / ("f" * length) / "x": LayerFile(data=b"") for length in range(80, 95)},
        **{TOP / f"link {length}": LayerFile(target="t" * length) for length in (99, 100, 101)},
    }

    write_layer("grape", files, tmp_path / "layer")

    written = io.BytesIO()
    with tarfile.open(fileobj=written, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for entry in members(tmp_path / "layer"):
            file = files.get(PurePosixPath("/", entry.name), LayerFile())
            content = file.data if file.source is None else file.source.read_bytes()
            plain = tarfile.TarInfo(entry.name)
            plain.mtime, plain.mode, plain.type, plain.linkname = entry.mtime, entry.mode, entry.type, entry.linkname
            plain.size = len(content)
            tar.addfile(plain, io.BytesIO(content))
    assert decompressed(tmp_path / "layer").read_bytes() == written.getvalue()


@pytest.mark.parametrize("path", ["opt/venv/x", "/opt/../etc/passwd", "/", "/opt/venv/lib64/x"])
def test_a_path_that_leads_elsewhere_is_refused(tmp_path: Path, path: str) -> None:
    """
    Relative, upwards, or through a link of the same layer.
    """
    with pytest.raises(ValueError, match="file"):
        write_layer("grape", {**FILES, PurePosixPath(path): LayerFile(data=b"")}, tmp_path / "layer")
