"""The list of files at the end of a layer's blob."""

import gzip
import json
import struct
import tarfile
from pathlib import Path, PurePosixPath
from typing import Any

import pytest
from zlib_ng import zlib_ng

from mlflow_uv.core.image.composition import Compression, digest_of
from mlflow_uv.core.image.dockerfile import VENV
from mlflow_uv.tools.layers.archive import LayerFile, write_layer
from mlflow_uv.tools.layers.layer_contents import LayerContents, read_list, written_list
from mlflow_uv.tools.system.compressed import decompressing

SITE = f"{VENV}/lib/python3.12/site-packages"
LIBRARY = {
    "package": "grape", "truncated": False, "machine": "x86_64", "name": "grape.so", "needed": ["libc.so.6"],
    "folders": ["$ORIGIN"], "versions": [["libc.so.6", "GLIBC_2.28"]], "marks": [],
}  # fmt: skip
CONTENTS = LayerContents(
    files={f"{SITE}/grape.so": "sha256=a", f"{SITE}/ä.so": ""},
    libraries={
        "lib/python3.12/site-packages/grape.so": LIBRARY,
        "lib/python3.12/site-packages/ä.so": {"package": "ä", "truncated": True},
    },
)
MANY = LayerContents(files={f"{SITE}/{digest_of(str(at).encode())}": digest_of(b"%d" % at) for at in range(4000)})


@pytest.mark.parametrize("compression", Compression)
@pytest.mark.parametrize("contents", [LayerContents(), CONTENTS, MANY], ids=["nothing", "libraries", "many files"])
def test_a_list_is_at_the_end_of_a_blob_and_changes_nothing_that_is_in_it(
    tmp_path: Path, compression: Compression, contents: LayerContents
) -> None:
    """
    Whatever reads the layer reads the same archive with a list as without it; many files need more than one part.
    """
    files = {PurePosixPath(SITE, "grape.py"): LayerFile(data=b"red" * 1000)}

    layer = write_layer("grape", files, tmp_path / "layer", compression=compression, contents=contents)
    plain = write_layer("grape", files, tmp_path / "plain", compression=compression)

    assert layer.listed is not None
    blob = (tmp_path / "layer").read_bytes()
    end = blob[-layer.listed.size :]
    assert contents == read_list(end)
    assert (layer.listed.digest, digest_of(blob)) == (digest_of(end), layer.blob.digest)
    assert blob == (tmp_path / "plain").read_bytes() + written_list(contents, compression)
    assert (layer.diff_id, None) == (plain.diff_id, plain.listed)
    with decompressing(tmp_path / "layer") as content:
        assert layer.diff_id == digest_of(content.read())


def test_readers_of_gzip_pass_over_the_list(tmp_path: Path) -> None:
    """
    As those of Python do, which other ones than ours use.
    """
    files = {PurePosixPath(SITE, "grape.py"): LayerFile(data=b"red")}
    write_layer("grape", files, tmp_path / "layer", contents=MANY)

    with tarfile.open(tmp_path / "layer", "r:gz") as tar:
        names = [Path(name).name for name in tar.getnames()]

    assert "grape.py" == names[-1]
    assert gzip.decompress((tmp_path / "layer").read_bytes()).endswith(bytes(1024))


def end_of(document: object) -> bytes:
    """The end of a blob with another document."""
    data = zlib_ng.compress(json.dumps(document).encode(), 6)
    return struct.pack("<II", 0x184D2A5D, len(data)) + data


def described(**other: Any) -> dict[str, Any]:
    """A document with a description of a library."""
    path = "lib/grape.so"
    return {"files": {f"{VENV}/{path}": ""}, "libraries": {path: {**LIBRARY, **other}}}


@pytest.mark.parametrize(
    "document",
    [
        [],
        {"files": {}},
        {"files": {"/etc/passwd": ""}, "libraries": {}},
        {"files": {f"{VENV}/../x": ""}, "libraries": {}},
        {"files": {f"{VENV}//x": ""}, "libraries": {}},
        {"files": {f"{VENV}/.wh.x": ""}, "libraries": {}},
        {"files": {f"{VENV}/x": 1}, "libraries": {}},
        {"files": {}, "libraries": {"lib/grape.so": LIBRARY}},
        described(truncated="no"),
        described(needed="libc.so.6"),
        described(needed=[1]),
        described(versions=[["libc.so.6"]]),
        {"files": {f"{VENV}/a.so": ""}, "libraries": {"a.so": {"package": "a", "truncated": True, "name": "x"}}},
    ],
)
def test_a_list_that_says_something_else_is_refused(document: object) -> None:
    """
    It comes from a registry.
    """
    with pytest.raises(ValueError, match=r"its list of files|no package lists"):
        read_list(end_of(document))


@pytest.mark.parametrize("compression", Compression)
def test_a_list_that_was_cut_or_moved_is_refused(compression: Compression) -> None:
    """
    At any place; a list of one layer never reads as that of another.
    """
    end = written_list(CONTENTS, compression)

    for part in (*(end[:size] for size in range(len(end))), end[1:], end + b"\0", b"\0" + end):
        with pytest.raises(ValueError, match="its list of files"):
            read_list(part)


def test_a_list_that_would_fill_the_memory_is_not_parsed() -> None:
    """
    A few kilobytes become hundreds of megabytes: what does not end within the limit is refused before it is parsed.
    """
    text = b'{"files":{},"libraries":[' + b"[]," * (12 << 20) + b"[]]}"
    data = zlib_ng.compress(text, 1)

    with pytest.raises(ValueError, match="too long"):
        read_list(struct.pack("<II", 0x184D2A5D, len(data)) + data)
