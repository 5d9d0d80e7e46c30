"""Layers of a base image that are made to harm the machine which reads them; nothing of them is executed."""

import gzip
import hashlib
import io
import json
import tarfile
from collections.abc import Callable
from pathlib import Path, PurePosixPath

import pytest

from mlflow_uv.command.errors import ToolFailed
from mlflow_uv.core.image.composition import GZIP_TYPE, Blob
from mlflow_uv.tools.layers.saved_image import SavedImage, python_of, read_pulled
from tests.unit.tools.layers.test_saved_image import PYTHON, saved


def archive_of(*entries: tuple[tarfile.TarInfo, bytes]) -> bytes:
    """An archive of entries as they are."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for entry, content in entries:
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))
    return out.getvalue()


def special(name: str, kind: bytes, target: str = "") -> tuple[tarfile.TarInfo, bytes]:
    """An entry that is no file."""
    entry = tarfile.TarInfo(name)
    entry.type, entry.linkname = kind, target
    return entry, b""


def named(name: str, content: bytes = b"x") -> tuple[tarfile.TarInfo, bytes]:
    """A file."""
    return tarfile.TarInfo(name), content


def pulled(folder: Path, *layers: bytes, **limits: int) -> SavedImage:
    """An image of a registry, of these archives."""
    folder.mkdir(exist_ok=True)
    blobs, archives = [], {}
    for at, data in enumerate(layers):
        path = folder / f"{at}.gz"
        path.write_bytes(gzip.compress(data, mtime=0))
        digest = f"sha256:{hashlib.sha256(path.read_bytes()).hexdigest()}"
        blobs.append(Blob(media_type=GZIP_TYPE, digest=digest, size=path.stat().st_size))
        archives[digest] = path
    diff_ids = [f"sha256:{hashlib.sha256(data).hexdigest()}" for data in layers]
    config = {"os": "linux", "architecture": "amd64", "rootfs": {"type": "layers", "diff_ids": diff_ids}}
    return read_pulled(json.dumps(config).encode(), tuple(blobs), archives, folder / "plain", **limits)


def long_header(size: int) -> bytes:
    """An archive whose first header says that one of so many bytes follows, which it need not have."""
    entry = tarfile.TarInfo("./@LongLink")
    entry.type, entry.size = tarfile.GNUTYPE_LONGNAME, size
    return entry.tobuf(tarfile.GNU_FORMAT) + bytes(1024)


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (archive_of(named("usr/lib/python3.12/../../../../../tmp/x.py"), named("tmp/x.py")), "has the path"),
        (archive_of(named("../x")), "has the path"),
        (archive_of(named("/".join(["a"] * 3000))), "has the path"),
        (long_header(8 << 30), "has a header of 8589934592 bytes"),
    ],
    ids=["a way out", "above", "deep", "header"],
)
def test_a_layer_that_leads_out_or_fills_the_memory_is_refused(tmp_path: Path, data: bytes, why: str) -> None:
    """
    Before anything of it is written or kept.
    """
    with pytest.raises(ToolFailed, match="the base image cannot be read") as refused:
        pulled(tmp_path / "image", data)

    assert why in refused.value.why


def test_layers_that_unpack_to_more_than_the_limit_are_refused(tmp_path: Path) -> None:
    """
    A few kilobytes of zeros: the limit is that of all layers together.
    """
    bombs = [archive_of(named(f"zeros{at}", bytes(1 << 20))) for at in range(3)]

    pulled(tmp_path / "fits", *bombs, most=4 << 20)
    with pytest.raises(ToolFailed, match="cannot be read") as refused:
        pulled(tmp_path / "large", *bombs, most=3 << 20)

    assert "its layers have more than 64 GiB" == refused.value.why


@pytest.mark.parametrize(
    "entries",
    [
        [special("usr/bin/python3.12", tarfile.LNKTYPE, "nowhere")],
        [special("usr/bin/python3.12", tarfile.LNKTYPE, "usr/bin/python3.12")],
        [special("usr/bin/python3.12", tarfile.CHRTYPE)],
        [special("usr/bin/python3.12", tarfile.FIFOTYPE)],
        [special("usr/bin/python3.12", tarfile.SYMTYPE, "../../../../../../etc/passwd")],
        [special("usr", tarfile.SYMTYPE, "/proc/self/root/usr")],
    ],
    ids=["broken hard link", "hard link to itself", "device", "pipe", "link out", "link of all"],
)
def test_what_is_no_file_in_the_image_is_not_read_from_this_machine(
    tmp_path: Path, entries: list[tuple[tarfile.TarInfo, bytes]]
) -> None:
    """
    A device, a pipe or a link: nothing of this machine gets into what is read, and nothing hangs.
    """
    python, target = PurePosixPath("/usr/bin/python3.12"), tmp_path / "out" / "python"

    image = pulled(tmp_path / "image", archive_of(*entries))
    try:
        found = image.text(python)
        image.files({python: target})
    except ToolFailed as refused:
        found = "" if refused.what == "the base image cannot be read" else refused.what

    assert ("", False) == (found, target.exists())


def test_a_version_of_python_is_a_version(tmp_path: Path) -> None:
    """
    It is written into a file of the image, line by line.
    """
    files = {name: content for name, content in PYTHON.items() if not name.endswith("patchlevel.h")}
    found = [
        python_of(saved(tmp_path / str(at), files, environment=(f"PYTHON_VERSION={version}",)))
        for at, version in enumerate(("3.12.7", "3.12.7\nhome = /tmp", "3.12.x", "3.12.0rc2+"))
    ]

    assert ["3.12.7", "3.12", "3.12", "3.12.0rc2+"] == [python.version for python in found if python]


def test_a_full_disk_is_not_a_broken_image(disk: Callable[[str], Path]) -> None:
    """
    The machine's own error is left to whoever knows where it can be moved.
    """
    volume = disk("1m")

    with pytest.raises(OSError, match="No space left"):
        pulled(volume, archive_of(named("zeros", bytes(4 << 20))))
