"""Base images as an engine saves them."""

import gzip
import hashlib
import io
import json
import tarfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Any

import pytest
import zstandard

from mlflow_uv.command.errors import ToolFailed
from mlflow_uv.core.image.composition import GZIP_TYPE, LAYER_TYPE, ZSTD_TYPE, BaseLayers
from mlflow_uv.tools.layers.saved_image import (
    SavedImage,
    UnpackedLayers,
    cxx_versions_of,
    glibc_features_of,
    glibc_of,
    python_of,
    read_pulled,
    read_saved,
)

PYTHON: dict[str, Any] = {
    "usr/": None,
    "usr/bin/": None,
    "usr/bin/python3.12": b"\x7fELF",
    "usr/bin/python3": "python3.12",
    "usr/lib/python3.12/os.py": b"name = 'posix'\n",
    "usr/include/python3.12/patchlevel.h": b'#define PY_VERSION              "3.12.7"\n',
    "usr/lib/x86_64-linux-gnu/libc.so.6": b"\0\0GNU C Library (Debian GLIBC 2.36-9) stable release version 2.36.\n\0",
    "lib": "usr/lib",
}


def layer(files: Mapping[str, Any]) -> bytes:
    """An archive: a folder for None, a link for a text."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.mode = 0o755
            if content is None:
                entry.type = tarfile.DIRTYPE
            elif isinstance(content, str):
                entry.type, entry.linkname = tarfile.SYMTYPE, content
            else:
                entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content) if isinstance(content, bytes) else None)
    return out.getvalue()


def saved(folder: Path, *layers: Mapping[str, Any], environment: tuple[str, ...] = (), **changes: Any) -> SavedImage:
    """An image of these layers, saved and read again; `changes` are parts of its configuration."""
    archives = [layer(files) for files in layers]
    diff_ids = [f"sha256:{hashlib.sha256(data).hexdigest()}" for data in archives]
    config = {
        "os": "linux",
        "architecture": "amd64",
        "config": {"Env": list(environment)},
        "rootfs": {"type": "layers", "diff_ids": diff_ids},
        **changes,
    }
    names = [f"{at}/layer.tar" for at in range(len(archives))]
    manifest = [{"Config": "config.json", "RepoTags": None, "Layers": names}]
    contents = {
        "manifest.json": json.dumps(manifest).encode(),
        "config.json": json.dumps(config).encode(),
        **dict(zip(names, archives, strict=True)),
    }
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "image.tar").write_bytes(layer(contents))
    return read_saved(folder / "image.tar", folder / "read")


def test_configuration_layers_and_files_are_those_of_the_image(tmp_path: Path) -> None:
    """
    The layers are compressed the same way each time, and named by their digests.
    """
    image = saved(tmp_path / "one", PYTHON, {"usr/.wh.include": b"", "etc/name": b"grape"}, environment=("A=b=c",))
    again = saved(tmp_path / "two", PYTHON, {"usr/.wh.include": b"", "etc/name": b"grape"}, environment=("A=b=c",))

    assert image.base == again.base
    assert [blob.digest for blob in image.base.layers] == list(image.archives)
    assert {"A": "b=c"} == image.variables
    assert ("grape", "", "name = 'posix'\n") == (
        image.text(PurePosixPath("/etc/name")),
        image.text(PurePosixPath("/usr/include/python3.12/patchlevel.h")),
        image.text(PurePosixPath("/lib/python3.12/os.py")),
    )


def test_files_are_written_where_they_are_wanted(tmp_path: Path) -> None:
    """
    What the image lacks is left out.
    """
    image = saved(tmp_path / "image", PYTHON)

    image.files(
        {
            PurePosixPath("/lib/python3.12/os.py"): tmp_path / "out" / "os.py",
            PurePosixPath("/lib/python3.12/absent.py"): tmp_path / "out" / "absent.py",
        }
    )

    assert ["os.py"] == [path.name for path in (tmp_path / "out").iterdir()]
    assert b"name = 'posix'\n" == (tmp_path / "out" / "os.py").read_bytes()


@pytest.mark.parametrize(
    ("more", "environment", "expected"),
    [
        ({}, (), ("/usr/bin/python3", "3.12.7", "/usr/lib/python3.12")),
        ({"usr/.wh.include": b""}, ("PYTHON_VERSION=3.12.9",), ("/usr/bin/python3", "3.12.9", "/usr/lib/python3.12")),
        ({"usr/.wh.include": b""}, ("PYTHON_VERSION=3.11.9",), ("/usr/bin/python3", "3.12", "/usr/lib/python3.12")),
        ({"usr/lib/python3.12/.wh.os.py": b""}, (), None),
        ({}, ("PATH=/opt/bin",), None),
        ({"usr/bin/python3": b"#!/bin/sh\n"}, (), None),
        (
            {
                "opt/python/bin/python": "python3.13",
                "opt/python/bin/python3.13": b"\x7fELF",
                "opt/python/lib/python3.13/os.py": b"",
            },
            ("PATH=/opt/python/bin",),
            ("/opt/python/bin/python", "3.13", "/opt/python/lib/python3.13"),
        ),
    ],
    ids=["header", "variable", "another variable", "no library", "not on PATH", "a script", "elsewhere"],
)
def test_the_python_is_known_from_the_files(tmp_path: Path, more, environment, expected) -> None:
    """
    The first on PATH that has a library beside it; a variable that contradicts the files does not count.
    """
    found = python_of(saved(tmp_path, PYTHON, more, environment=environment))

    assert expected == (found and (str(found.command), found.version, str(found.library)))


def test_the_c_library_is_known_by_its_banner(tmp_path: Path) -> None:
    """
    Wheels are chosen by it. musl has no such file, and a file of that name may be anything.
    """
    other = {"usr/lib/x86_64-linux-gnu/libc.so.6": b"something else"}

    assert (2, 36) == glibc_of(saved(tmp_path / "glibc", PYTHON))
    assert None is glibc_of(saved(tmp_path / "other", PYTHON, other))
    assert None is glibc_of(saved(tmp_path / "musl", {"lib/ld-musl-x86_64.so.1": b"\x7fELF"}))


def test_the_symbols_of_the_c_and_cxx_libraries_are_those_that_their_files_list(tmp_path: Path) -> None:
    """
    By number, not as text; a longer word that contains one does not count, and a base may lack either library.
    """
    folder = "usr/lib/x86_64-linux-gnu"
    cxx = b"\0GLIBCXX_3.4.9\0GLIBCXX_3.4.30\0GLIBCXX_TUNABLES\0CXXABI_1.3.13\0CXXABI_1.3.9\0"
    features = b"\0GLIBC_ABI_GNU2_TLS\0GLIBC_ABI_DT_RELR\0my_GLIBC_ABI_X\0"
    both = saved(tmp_path / "both", {f"{folder}/libstdc++.so.6": cxx, f"{folder}/libc.so.6": features})
    neither = saved(tmp_path / "neither", {"etc/": None})

    found = [(cxx_versions_of(image), glibc_features_of(image)) for image in (both, neither)]

    versions = {"GLIBCXX": (3, 4, 30), "CXXABI": (1, 3, 13)}
    assert [(versions, frozenset({"GLIBC_ABI_GNU2_TLS", "GLIBC_ABI_DT_RELR"})), ({}, frozenset())] == found


def test_what_is_no_image_is_refused(tmp_path: Path) -> None:
    """
    No archive, an archive of something else, and layers that are not those of the configuration.
    """
    (tmp_path / "text").write_text("no archive")
    (tmp_path / "other").write_bytes(layer({"manifest.json": b"{}"}))
    other = {"type": "layers", "diff_ids": [f"sha256:{'0' * 64}"]}

    for name in ("text", "other", "absent"):
        with pytest.raises(ToolFailed, match="the base image cannot be read"):
            read_saved(tmp_path / name, tmp_path / "read")
    with pytest.raises(ToolFailed, match="the base image cannot be read"):
        saved(tmp_path / "lying", PYTHON, rootfs=other)


@pytest.mark.parametrize("names", [("0", "0"), ("0", "1")], ids=["itself", "two"])
def test_a_layer_that_is_a_circle_of_links_is_refused(tmp_path: Path, names: tuple[str, str]) -> None:
    """
    Both kinds of links.
    """
    first, second = names
    contents = {
        "manifest.json": json.dumps([{"Config": "config.json", "Layers": [first]}]).encode(),
        "config.json": b"{}",
        first: second,
        second: first,
    }
    (tmp_path / "image.tar").write_bytes(layer(contents))

    with pytest.raises(ToolFailed, match="the base image cannot be read") as raised:
        read_saved(tmp_path / "image.tar", tmp_path / "read")

    assert f"{first} is a link that leads to no file" == raised.value.why


def test_a_manifest_that_is_too_large_is_refused(tmp_path: Path) -> None:
    """
    It is not read to its end.
    """
    (tmp_path / "image.tar").write_bytes(layer({"manifest.json": b" " * ((32 << 20) + 1)}))

    with pytest.raises(ToolFailed) as raised:
        read_saved(tmp_path / "image.tar", tmp_path / "read")

    assert "manifest.json has more than 32 MiB" == raised.value.why


def pulled(folder: Path, image: SavedImage, **changes: Any) -> SavedImage:
    """An image, read as if its layers came from a registry; `changes` are parts of its layers' description."""
    layers = tuple(replace(blob, **changes) for blob in image.base.layers)
    return read_pulled(json.dumps(image.base.config).encode(), layers, image.archives, folder)


def test_an_image_of_a_registry_keeps_its_layers(tmp_path: Path) -> None:
    """
    It is read as one that an engine saves, and its compressed layers are not made again.
    """
    image = saved(tmp_path / "one", PYTHON, {"etc/name": b"grape"})

    again = pulled(tmp_path / "two", image)

    assert (image.base, image.archives, python_of(image)) == (again.base, again.archives, python_of(again))
    assert "grape" == again.text(PurePosixPath("/etc/name"))


def test_a_layer_of_a_registry_that_the_configuration_does_not_name_is_refused(tmp_path: Path) -> None:
    """
    Its digest as the registry has it is right, what is in it is another archive.
    """
    image, other = saved(tmp_path / "one", PYTHON), saved(tmp_path / "two", {"etc/name": b"grape"})
    layers, archives = other.base.layers, other.archives

    with pytest.raises(ToolFailed, match="its layer 0 is not that of its manifest"):
        read_pulled(json.dumps(image.base.config).encode(), layers, archives, tmp_path / "read")


def test_a_configuration_that_names_too_few_layers_is_refused(tmp_path: Path) -> None:
    """
    As an error of the image, which is not trusted, and not of this program.
    """
    image = saved(tmp_path / "one", PYTHON, {"etc/name": b"grape"})
    config = dict(image.base.config)
    config["rootfs"] = {"type": "layers", "diff_ids": config["rootfs"]["diff_ids"][:1]}

    with pytest.raises(ToolFailed, match="its configuration names 1 layers, and it has more"):
        read_pulled(json.dumps(config).encode(), image.base.layers, image.archives, tmp_path / "read")


@pytest.mark.parametrize(
    ("content", "kind", "why"),
    [
        (b"no gzip", GZIP_TYPE, "is not compressed as its type"),
        (gzip.compress(b"x" * 999)[:-20], GZIP_TYPE, "ended before|Error -3"),
        (gzip.compress(b"x"), ZSTD_TYPE, "is not compressed as its type"),
        (zstandard.compress(b"x" * 999)[:-8], ZSTD_TYPE, "is not that of its manifest|damaged"),
        (b"x", f"{LAYER_TYPE}+encrypted", "is not supported"),
        (b"x", LAYER_TYPE, "is not that of its manifest"),
    ],
    ids=["no gzip", "torn", "no zstd", "torn zstd", "encrypted", "not compressed"],
)
def test_a_layer_that_cannot_be_unpacked_is_an_error(tmp_path: Path, content: bytes, kind: str, why: str) -> None:
    """
    Whatever a registry sends, there is no traceback.
    """
    image = saved(tmp_path / "one", PYTHON)
    (archive,) = image.archives.values()
    archive.write_bytes(content)

    with pytest.raises(ToolFailed, match=why):
        pulled(tmp_path / "read", image, media_type=kind)


def test_of_a_path_that_a_layer_has_twice_the_last_content_is_read(tmp_path: Path) -> None:
    """
    As an engine unpacks it; a hard link has the content of its target, and no more of a file is read than is asked for.
    """
    plain = tmp_path / "0.tar"
    with tarfile.open(plain, "w") as tar:
        for content in (b"grape", b"plum tree"):
            entry = tarfile.TarInfo("etc/name")
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))
        link = tarfile.TarInfo("etc/link")
        link.type, link.linkname = tarfile.LNKTYPE, "etc/name"
        tar.addfile(link)
    image = SavedImage(base=BaseLayers(config={}, layers=()), archives={}, unpacked=UnpackedLayers(lambda: (plain,)))

    found = [image.tree.resolved(PurePosixPath("/etc") / name) for name in ("name", "link")]

    assert [b"plum tree"] * 2 == [image.content(entry, 100) for entry in found if entry is not None]
    assert [b"plum"] * 2 == [image.content(entry, 4) for entry in found if entry is not None]
