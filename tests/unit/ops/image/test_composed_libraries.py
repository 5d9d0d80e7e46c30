"""Shared libraries that packages lack on a base, and the copies that are linked in their place."""

import os
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from types import SimpleNamespace
from typing import cast

import pytest

from mlflow_uv.command.report import Severity
from mlflow_uv.core.image.dockerfile import VENV
from mlflow_uv.ops.image.composed_libraries import (
    LackingLibrary,
    SharedLibraries,
    library_links,
    shared_libraries,
    unexamined_libraries,
)
from mlflow_uv.tools.engines.library_scanner import CompiledCode, NeededSymbols, TruncatedFile
from mlflow_uv.tools.layers.archive import LayerFile, write_layer
from mlflow_uv.tools.layers.cache import CachedLayer
from mlflow_uv.tools.layers.loader import Loader
from mlflow_uv.tools.layers.package_layers import PackagesAsLayers
from mlflow_uv.tools.system.process import SystemRunner
from mlflow_uv.tools.toolbox import Tools

LOADER = Loader(names=("libc.so.6",), folder=PurePosixPath("/usr/lib/x86_64-linux-gnu"))
SITE = f"{VENV}/lib/python3.11/site-packages"
Row = tuple[str, str, str, str]
COPY = "libgomp-a34b3233.so.1.0.0"
CODE = CompiledCode(
    needed=(
        NeededSymbols(package="lightgbm", file="lib_lightgbm.so", machine="x86_64", symbols="", version=()),
        NeededSymbols(package="lightgbm", file="lib_lightgbm.so", machine="x86_64", symbols="GLIBC", version=(2, 14)),
    ),
    truncated=(TruncatedFile(package="scikit-learn", file=COPY),),
)


@dataclass
class FakeScanner:
    """Says what is lacking, and keeps which files it was shown, and their content."""

    rows: tuple[Row, ...]
    shown: list[str] = field(default_factory=list)
    contents: list[bytes] = field(default_factory=list)

    def compare(self, folder: Path, _names: tuple[str, ...], *, elsewhere: bool) -> tuple[Row, ...]:
        assert elsewhere
        self.shown += sorted(path.name for path in folder.rglob("*") if path.is_file())
        self.contents += [path.read_bytes() for path in folder.rglob("*") if path.is_file()]
        return self.rows

    def compiled_code(self, _folder: Path) -> CompiledCode:
        return CODE


def packages_in(folder: Path) -> PackagesAsLayers:
    """A layer with a library, its RECORD, a module, and a copy of OpenMP."""
    names = ("scikit_learn.libs/" + COPY, "lightgbm/lib_lightgbm.so", "lightgbm-4.dist-info/RECORD", "lightgbm/x.py")
    files = {PurePosixPath(SITE, name): LayerFile(data=b"x") for name in names}
    archive = folder / "layer"
    layer = write_layer("lightgbm", files, archive)
    cached = CachedLayer(layer=layer, archive=archive, files=dict.fromkeys(map(str, files), "d"))
    return PackagesAsLayers(layers=(cached,), reused=0, python="3.11.7")


def examined(folder: Path, scanner: FakeScanner) -> SharedLibraries:
    host, contexts = SimpleNamespace(cache=folder / "cache"), SimpleNamespace(libraries="the program")
    tools = cast("Tools", SimpleNamespace(host=host, contexts=contexts, libraries=scanner, runner=SystemRunner()))
    return shared_libraries(packages_in(folder), LOADER, tools)


def test_a_copy_of_another_package_is_linked_where_the_loader_looks_last(tmp_path: Path) -> None:
    """
    Only libraries and the lists of their owners are unpacked, once.
    """
    scanner = FakeScanner((("lightgbm", "lib_lightgbm.so", "libgomp.so.1", COPY),))

    found, again = examined(tmp_path, scanner), examined(tmp_path, scanner)

    target = f"{SITE}/scikit_learn.libs/{COPY}"
    place = PurePosixPath("/usr/lib/x86_64-linux-gnu/libgomp.so.1")
    assert (
        found
        == again
        == SharedLibraries(
            lacking=(LackingLibrary(package="lightgbm", library="libgomp.so.1", copy=target),), code=CODE
        )
    )
    assert ["RECORD", "lib_lightgbm.so", COPY] == scanner.shown
    assert {place: LayerFile(target=target)} == library_links(found, LOADER)
    assert {} == library_links(found, Loader(names=(), folder=None))


def test_libraries_that_stay_unpacked_are_compared_before_they_are_examined_again(tmp_path: Path) -> None:
    """
    One that was changed, with its size and time as before, is unpacked again.
    """
    scanner = FakeScanner(())
    examined(tmp_path, scanner)
    (kept,) = (tmp_path / "cache" / "shared-libraries").iterdir()
    kept.unlink()
    (library,) = (tmp_path / "cache" / "unpacked-libraries").rglob("lib_lightgbm.so")
    before = library.stat()
    library.chmod(0o644)
    library.write_bytes(b"y")
    library.chmod(0o444)
    os.utime(library, ns=(before.st_atime_ns, before.st_mtime_ns))

    examined(tmp_path, scanner)

    assert [b"x"] * 6 == scanner.contents


def test_what_is_kept_is_not_believed_if_it_was_changed(tmp_path: Path) -> None:
    """
    It is examined again.
    """
    scanner = FakeScanner(())
    examined(tmp_path, scanner)
    (kept,) = (tmp_path / "cache" / "shared-libraries").iterdir()
    planted = '"lacking": [{"package": "a", "library": "b", "copy": "/bin/sh"}]'
    kept.write_text(kept.read_text().replace('"lacking": []', planted))

    assert SharedLibraries(code=CODE) == examined(tmp_path, scanner)


@pytest.mark.parametrize("copies", [("/a", "/b"), ("/a", "")], ids=["two copies", "none for one"])
def test_a_copy_that_does_not_fit_every_package_is_not_linked(copies: tuple[str, str]) -> None:
    """
    One link serves all of them.
    """
    lacking = tuple(
        LackingLibrary(package=str(at), library="libgomp.so.1", copy=copy) for at, copy in enumerate(copies)
    )

    assert {} == SharedLibraries(lacking=lacking).links


def test_without_an_engine_a_library_that_is_missing_is_a_warning_with_its_fix() -> None:
    """
    Nobody loaded the model in the image: the machine that tests it may have the library.
    """
    found = SharedLibraries(
        lacking=(
            LackingLibrary(package="lightgbm", library="libgomp.so.1", copy=f"{SITE}/{COPY}"),
            LackingLibrary(package="opencv-python", library="libGL.so.1", copy=""),
        )
    )

    linked, missing = unexamined_libraries(found, "python:3.11-slim")

    assert ("image-library-linked", Severity.NOTICE) == (linked.rule, linked.severity)
    assert ("image-library-missing", Severity.WARNING) == (missing.rule, missing.severity)
    assert "`opencv-python` is linked with libraries that the image does not have: libGL.so.1" == missing.what
    assert "apt-get install libgl1" in missing.fix
