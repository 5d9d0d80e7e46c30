"""Packages of a composed image that were built from source, on any machine."""

from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from platform import libc_ver
from types import SimpleNamespace
from typing import cast

import pytest

from mlflow_uv.command.errors import BaseImageUnfit
from mlflow_uv.core.image.layer_grouping import LayerGroup
from mlflow_uv.core.lock.installable import InstallMethod
from mlflow_uv.core.lock.placement import Placement
from mlflow_uv.core.release.record import WheelLink
from mlflow_uv.ops.image.composed_base import ComposableBase
from mlflow_uv.ops.image.composed_sources import (
    BuiltPackage,
    built_packages,
    examined_packages,
    is_built_here,
    source_findings,
)
from mlflow_uv.tools.engines.library_scanner import NeededSymbols
from mlflow_uv.tools.layers.archive import LayerFile, write_layer
from mlflow_uv.tools.layers.cache import CachedLayer
from mlflow_uv.tools.layers.package_layers import PackagesAsLayers
from mlflow_uv.tools.toolbox import Tools
from tests.unit.tools.layers.test_saved_image import saved

Rows = tuple[tuple[str, str, str], ...]
Symbols = tuple[tuple[str, str, str, str], ...]
SITE = "/opt/venv/lib/python3.11/site-packages"
BASE = cast("ComposableBase", SimpleNamespace(glibc=(2, 36), described=SimpleNamespace(name="python:3.11-slim")))


@dataclass
class FakeScanner:
    """Says which C library is needed by what it was shown."""

    rows: Rows
    shown: tuple[str, ...] = ()
    cxx: Symbols = ()

    def needed_symbols(self, folder: Path) -> tuple[NeededSymbols, ...]:
        """See LibraryScanner."""
        self.shown = tuple(sorted(path.name for path in folder.rglob("*") if path.is_file()))
        rows = (*((package, file, "GLIBC", version) for package, file, version in self.rows), *self.cxx)
        return tuple(
            NeededSymbols(
                package=package,
                file=file,
                symbols=symbols,
                version=tuple(map(int, filter(None, version.split(".")))),
            )
            for package, file, symbols, version in rows
        )


def examined(
    folder: Path, scanner: FakeScanner, *names: str, wheel: str = "", base: ComposableBase = BASE
) -> tuple[BuiltPackage, ...]:
    groups = [LayerGroup(name=name, packages=(name,)) for name in ("pear", "plum")]
    wheels = [WheelLink(file=wheel, name="plum", version="1", sha256="0" * 64, marker="")] if wheel else []
    layers = []
    for name in ("pear", "plum"):
        files = {PurePosixPath(SITE, f"{name}_c.so"): LayerFile(data=b"x"), PurePosixPath(SITE, "x.py"): LayerFile()}
        layer = write_layer(name, files, folder / name)
        layers.append(CachedLayer(layer=layer, archive=folder / name, files={}))
    packages = PackagesAsLayers(layers=tuple(layers), reused=0, python="3.11.7", built=("pear",))
    tools = cast("Tools", SimpleNamespace(libraries=scanner))
    return built_packages(packages, examined_packages(frozenset(names), wheels, groups), base, tools)


def test_what_is_linked_against_a_newer_c_library_than_that_of_the_base_is_refused(tmp_path: Path) -> None:
    """
    2.100 is newer than 2.36, which a comparison of texts would not see.
    """
    scanner = FakeScanner((("pear", "pear_c.so", "2.100"),))

    with pytest.raises(BaseImageUnfit) as refused:
        examined(tmp_path, scanner, "pear")

    assert "`pear_c.so` is linked against the GNU C library 2.100, and the base has 2.36" == refused.value.why
    assert "--builder engine" in str(refused.value.fix)


@pytest.mark.parametrize(
    ("symbols", "version", "refused"),
    [
        ("GLIBCXX", "3.4.30", False),
        ("GLIBCXX", "3.4.31", True),
        ("CXXABI", "1.3.13", False),
        ("CXXABI", "1.3.14", True),
    ],
)
@pytest.mark.parametrize("has_library", [True, False], ids=["C++ library", "none"])
def test_what_is_linked_against_a_newer_cxx_library_is_refused_too(
    tmp_path: Path, symbols: str, version: str, *, refused: bool, has_library: bool
) -> None:
    """
    By the versions that the library of the base lists; without one, a missing library is reported elsewhere.
    """
    listed = b"\0GLIBCXX_3.4.9\0GLIBCXX_3.4.30\0GLIBCXX_TUNABLES\0CXXABI_1.3.13\0CXXABI_1.3.9\0"
    image = saved(tmp_path / "base", {"usr/lib/x86_64-linux-gnu/libstdc++.so.6": listed} if has_library else {})
    base = cast("ComposableBase", SimpleNamespace(glibc=(2, 36), image=image, described=BASE.described))
    message = ""

    try:
        examined(tmp_path, FakeScanner((), cxx=(("pear", "pear_c.so", symbols, version),)), "pear", base=base)
    except BaseImageUnfit as error:
        message = str(error.why)

    newest = {"GLIBCXX": "3.4.30", "CXXABI": "1.3.13"}[symbols]
    linked = f"`pear_c.so` is linked against the GNU C++ library {symbols}_{version}, and the base has "
    assert (f"{linked}{symbols}_{newest}" if refused and has_library else "") == message


@pytest.mark.parametrize(
    ("features", "refused"),
    [(b"\0GLIBC_ABI_DT_RELR\0", False), (b"\0GLIBC_ABI_GNU2_TLS\0GLIBC_ABI_DT_RELR_2\0", True), (None, True)],
)
def test_a_feature_of_the_loader_is_looked_for_in_the_c_library_of_the_base(
    tmp_path: Path, features: bytes | None, *, refused: bool
) -> None:
    """
    Distributions add features to older versions, so that no version says whether one is there.
    """
    files = {} if features is None else {"usr/lib/x86_64-linux-gnu/libc.so.6": features}
    image = saved(tmp_path / "base", files)
    base = cast("ComposableBase", SimpleNamespace(glibc=(2, 31), image=image, described=BASE.described))
    scanner = FakeScanner((("pear", "pear_c.so", "2.2.5"),), cxx=(("pear", "pear_c.so", "GLIBC_ABI_DT_RELR", ""),))
    message = ""

    try:
        examined(tmp_path, scanner, "pear", base=base)
    except BaseImageUnfit as error:
        message = str(error.why)

    linked = "`pear_c.so` is linked against GLIBC_ABI_DT_RELR of the GNU C library, and the base has 2.31 without it"
    assert (linked if refused else "") == message


@pytest.mark.parametrize(
    ("tag", "refused"),
    [("linux_x86_64", True), ("manylinux2014_x86_64.linux_x86_64", True), ("manylinux_2_17_x86_64", False),
     ("manylinux_2_17_x86_64.musllinux_1_1_x86_64", False), ("any", True)],
)  # fmt: skip
def test_a_wheel_in_the_model_is_examined_if_its_tag_promises_no_c_library(
    tmp_path: Path, tag: str, *, refused: bool
) -> None:
    """
    It was built where the model was logged; the packages beside it come from an index.
    """
    scanner = FakeScanner((("plum", "plum_c.so", "2.38"), ("pear", "pear_c.so", "2.99")))
    message = ""

    try:
        found = examined(tmp_path, scanner, wheel=f"plum-1-cp311-cp311-{tag}.whl")
    except BaseImageUnfit as error:
        found, message = (), str(error.what)

    expected = "`plum`, a wheel in the model, does not load on the base image `python:3.11-slim`" if refused else ""
    assert ((), expected) == (found, message)
    assert (("plum_c.so",) if refused else ()) == scanner.shown


def test_the_newest_version_that_a_package_needs_is_reported(tmp_path: Path) -> None:
    """
    Of the layers with a package that was built, and of its shared libraries alone.
    """
    scanner = FakeScanner((("pear", "a.so", "2.2.5"), ("pear", "b.so", "2.36"), ("wheel", "c.so", "2.99")))

    found = examined(tmp_path, scanner, "pear", "pure")

    assert (BuiltPackage(name="pear", glibc="2.36"), BuiltPackage(name="pure", glibc="")) == found
    assert ("pear_c.so",) == scanner.shown
    reasons = [finding.why for finding in source_findings(found, BASE)]
    assert ["it is linked against the GNU C library 2.36, and the base has 2.36", "it has no compiled code"] == reasons


def test_without_such_a_package_nothing_is_unpacked(tmp_path: Path) -> None:
    """
    Nor is any file of the image read.
    """
    scanner = FakeScanner((("pear", "pear_c.so", "2.100"),))

    assert ((), ()) == (examined(tmp_path, scanner), scanner.shown)


@pytest.mark.parametrize(
    ("verdict", "machine", "expected"),
    [
        (InstallMethod.BUILT, "x86_64", libc_ver()[0] == "glibc"),
        (InstallMethod.BUILT, "aarch64", False),
        (InstallMethod.GIT, "x86_64", False),
        (InstallMethod.IMPOSSIBLE, "x86_64", False),
    ],
)
def test_only_source_distributions_for_this_platform_are_built(
    verdict: InstallMethod, machine: str, *, expected: bool
) -> None:
    """
    Nothing is cross-compiled, and what git has carries no hash.
    """
    placement = cast("Placement", SimpleNamespace(verdict=verdict, target=SimpleNamespace(machine=machine)))
    tools = cast("Tools", SimpleNamespace(host=SimpleNamespace(machine="x86_64")))

    assert expected is is_built_here(placement, tools)
