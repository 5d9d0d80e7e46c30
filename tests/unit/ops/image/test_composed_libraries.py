"""Shared libraries that packages lack on a base, and the copies that are linked in their place."""

from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from types import SimpleNamespace
from typing import cast

import pytest

from mlflow_uv.command.report import Severity
from mlflow_uv.core.image.composition import GZIP_TYPE, Blob, LayerBlob
from mlflow_uv.core.image.dockerfile import VENV
from mlflow_uv.ops.image.composed_libraries import (
    LackingLibrary,
    SharedLibraries,
    library_links,
    shared_libraries,
    unexamined_libraries,
)
from mlflow_uv.tools.engines.library_scanner import (
    CompiledCode,
    Descriptions,
    ExaminedLibraries,
    NeededSymbols,
    TruncatedFile,
)
from mlflow_uv.tools.layers.archive import LayerFile
from mlflow_uv.tools.layers.cache import CachedLayer
from mlflow_uv.tools.layers.loader import Loader
from mlflow_uv.tools.layers.package_layers import PackagesAsLayers
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


SITE_IN = SITE.removeprefix(f"{VENV}/")
DESCRIBED = {f"{SITE_IN}/lightgbm/lib_lightgbm.so": {"package": "lightgbm", "truncated": False}}


@dataclass
class FakeScanner:
    """Says what is lacking, and keeps what it was shown."""

    rows: tuple[Row, ...]
    programs: str = "the programs"
    shown: list[Descriptions] = field(default_factory=list)

    def examine(self, libraries: Descriptions, names: tuple[str, ...]) -> ExaminedLibraries:
        assert LOADER.names == names
        self.shown.append(libraries)
        return ExaminedLibraries(lacking=self.rows, code=CODE)


def packages_with(*layers: Descriptions) -> PackagesAsLayers:
    """Layers of packages with described libraries, whose blobs have one digest."""
    blob = LayerBlob(name="x", blob=Blob(media_type=GZIP_TYPE, digest="sha256:1", size=1), diff_id="sha256:2")
    return PackagesAsLayers(
        layers=tuple(CachedLayer(layer=blob, archive=Path("x"), files={}, libraries=each) for each in layers),
        reused=0,
        python="3.11.7",
    )


def examined(folder: Path, scanner: FakeScanner, *layers: Descriptions) -> SharedLibraries:
    host = SimpleNamespace(cache=folder / "cache")
    tools = cast("Tools", SimpleNamespace(host=host, libraries=scanner))
    return shared_libraries(packages_with(*(layers or (DESCRIBED,))), LOADER, tools)


def test_a_copy_of_another_package_is_linked_where_the_loader_looks_last(tmp_path: Path) -> None:
    """
    The descriptions in the layers are examined once; those of a higher layer count.
    """
    scanner = FakeScanner((("lightgbm", "lib_lightgbm.so", "libgomp.so.1", f"{SITE_IN}/scikit_learn.libs/{COPY}"),))
    (path,) = DESCRIBED
    layers = ({path: {"package": "old", "truncated": False}}, DESCRIBED)

    found, again = examined(tmp_path, scanner, *layers), examined(tmp_path, scanner, *layers)

    target = f"{SITE}/scikit_learn.libs/{COPY}"
    place = PurePosixPath("/usr/lib/x86_64-linux-gnu/libgomp.so.1")
    assert (
        found
        == again
        == SharedLibraries(
            lacking=(LackingLibrary(package="lightgbm", library="libgomp.so.1", copy=target),), code=CODE
        )
    )
    assert [DESCRIBED] == scanner.shown
    assert {place: LayerFile(target=target)} == library_links(found, LOADER)
    assert {} == library_links(found, Loader(names=(), folder=None))


def test_what_another_image_says_of_its_libraries_is_not_kept_for_a_layer_with_the_same_digest(tmp_path: Path) -> None:
    """
    Whoever composed an image describes its layers: a digest alone does not prove what is in the list.
    """
    scanner = FakeScanner(())

    examined(tmp_path, scanner, {})
    examined(tmp_path, scanner, DESCRIBED)

    assert [{}, DESCRIBED] == scanner.shown


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
