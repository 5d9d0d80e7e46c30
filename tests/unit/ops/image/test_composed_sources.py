"""Compiled code in a composed image: what its base cannot load, and what was built from source, on any machine."""

from collections.abc import Mapping
from platform import libc_ver
from types import SimpleNamespace
from typing import cast

import pytest

from mlflow_uv.command.errors import BaseImageUnfit
from mlflow_uv.command.report import Severity
from mlflow_uv.core.lock.installable import InstallMethod
from mlflow_uv.core.lock.placement import Placement
from mlflow_uv.core.release.record import WheelLink
from mlflow_uv.ops.image.builders import NotComposable
from mlflow_uv.ops.image.composed_base import ComposableBase
from mlflow_uv.ops.image.composed_sources import (
    BuiltPackage,
    built_packages,
    examined_packages,
    is_built_here,
    require_loadable,
    source_findings,
    unloadable_findings,
    unloadable_libraries,
)
from mlflow_uv.tools.engines.library_scanner import CompiledCode, NeededSymbols, TruncatedFile
from mlflow_uv.tools.toolbox import Tools

NOTHING = examined_packages(frozenset(), ())


def base_with(
    *features: str, glibc: tuple[int, int] = (2, 36), cxx: Mapping[str, tuple[int, ...]] | None = None
) -> ComposableBase:
    """A base for x86-64, with these libraries."""
    described = SimpleNamespace(name="python:3.11-slim")
    base = SimpleNamespace(
        machine="x86_64", glibc=glibc, features=frozenset(features), cxx=cxx or {}, described=described
    )
    return cast("ComposableBase", base)


def row(package: str, symbols: str = "", version: str = "", *, machine: str = "x86_64") -> NeededSymbols:
    """What a file of a package needs."""
    return NeededSymbols(
        package=package,
        file=f"{package}_c.so",
        machine=machine,
        symbols=symbols,
        version=tuple(map(int, filter(None, version.split(".")))),
    )


def code(*rows: NeededSymbols, truncated: tuple[str, ...] = ()) -> CompiledCode:
    """What was read of packages, some of which have a file that is cut off."""
    files = tuple(TruncatedFile(package=package, file=f"{package}_c.so") for package in truncated)
    return CompiledCode(needed=rows, truncated=files)


def why(base: ComposableBase, *rows: NeededSymbols) -> list[str]:
    """Why the base cannot load libraries."""
    return [library.why for library in unloadable_libraries(code(*rows), base)]


def wheel(tag: str) -> WheelLink:
    """A wheel of plum in the model."""
    return WheelLink(file=f"plum-1-cp311-cp311-{tag}.whl", name="Plum", version="1", sha256="0" * 64, marker="")


def test_what_is_linked_against_a_newer_c_library_than_that_of_the_base_cannot_be_loaded() -> None:
    """
    2.100 is newer than 2.36, which a comparison of texts would not see.
    """
    found = why(base_with(), row("pear", "GLIBC", "2.100"), row("plum", "GLIBC", "2.36"))

    assert ["`pear_c.so` is linked against the GNU C library 2.100, and the base has 2.36"] == found


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
def test_what_is_linked_against_a_newer_cxx_library_cannot_be_loaded_either(
    symbols: str, version: str, *, refused: bool, has_library: bool
) -> None:
    """
    By the versions that the library of the base lists; without one, a missing library is reported elsewhere.
    """
    newest = {"GLIBCXX": (3, 4, 30), "CXXABI": (1, 3, 13)} if has_library else {}

    found = why(base_with(cxx=newest), row("pear", symbols, version))

    provided = {"GLIBCXX": "3.4.30", "CXXABI": "1.3.13"}[symbols]
    linked = f"`pear_c.so` is linked against the GNU C++ library {symbols}_{version}, and the base has "
    assert [f"{linked}{symbols}_{provided}"] * (refused and has_library) == found


def test_a_feature_of_the_loader_is_looked_for_by_its_name() -> None:
    """
    Distributions add features to older versions, so that no version says whether one is there.
    """
    rows = (row("pear", "GLIBC", "2.2.5"), row("pear", "GLIBC_ABI_DT_RELR"))
    bases = (base_with("GLIBC_ABI_DT_RELR", glibc=(2, 31)), base_with("GLIBC_ABI_GNU2_TLS", glibc=(2, 31)))

    found = [why(base, *rows) for base in bases]

    linked = "`pear_c.so` is linked against GLIBC_ABI_DT_RELR of the GNU C library, and the base has 2.31 without it"
    assert [[], [linked]] == found


def test_a_package_with_libraries_for_another_architecture_alone_cannot_be_loaded() -> None:
    """
    One that has the right ones beside others can, and what the others need of their system is not looked at.
    """
    foreign = row("pear", machine="aarch64")
    both = (row("plum"), row("plum", machine="aarch64"), row("plum", "GLIBC", "2.99", machine="aarch64"))

    found = why(base_with(), foreign, *both)

    assert ["`pear_c.so` is compiled for aarch64, and the base is for x86_64"] == found


@pytest.mark.parametrize(
    ("tag", "refused"),
    [("linux_x86_64", True), ("manylinux2014_x86_64.linux_x86_64", True), ("manylinux_2_17_x86_64", False),
     ("manylinux_2_17_x86_64.musllinux_1_1_x86_64", False), ("any", True)],
)  # fmt: skip
def test_a_wheel_in_the_model_is_refused_if_its_tag_promises_no_c_library(tag: str, *, refused: bool) -> None:
    """
    It was built where the model was logged; the packages beside it come from an index, and are only reported.
    """
    found = unloadable_libraries(code(row("plum", "GLIBC", "2.38"), row("pear", "GLIBC", "2.99")), base_with())
    message = fix = ""

    try:
        require_loadable(found, examined_packages(frozenset(), (wheel(tag),)), base_with())
    except NotComposable as error:
        message, fix = error.what, str(error.fix)

    expected = "`plum`, a wheel in the model, does not load on the base image `python:3.11-slim`" if refused else ""
    assert (expected, refused) == (message, "--builder engine" in fix)


@pytest.mark.parametrize("built", [True, False])
def test_an_own_package_for_another_architecture_is_refused_whatever_builds_the_image(*, built: bool) -> None:
    """
    An engine would install the same file.
    """
    found = unloadable_libraries(code(row("plum", machine="aarch64")), base_with())
    examined = examined_packages(frozenset({"plum"} if built else ()), () if built else (wheel("any"),))

    with pytest.raises(BaseImageUnfit) as refused:
        require_loadable(found, examined, base_with())

    assert not isinstance(refused.value, NotComposable)
    assert "`plum_c.so` is compiled for aarch64, and the base is for x86_64" == refused.value.why


def test_a_package_of_an_index_is_a_warning_with_its_fix() -> None:
    """
    Its tag promised something else; only the files say what it needs.
    """
    rows = (row("my_pear", "GLIBC", "2.38"), row("plum", machine="aarch64"), row("quince", "GLIBC", "2.17"))
    found = unloadable_libraries(code(*rows), base_with())
    require_loadable(found, NOTHING, base_with())

    newer, foreign = unloadable_findings(found, base_with())

    assert ("image-library-unloadable", Severity.WARNING) == (newer.rule, newer.severity)
    assert "`my-pear` has a shared library that the base image `python:3.11-slim` cannot load" == newer.what
    assert "`my_pear_c.so` is linked against the GNU C library 2.38, and the base has 2.36" in newer.why
    assert ("--base-image NAME", "uv lock --upgrade-package my-pear") == tuple(
        text for text in ("--base-image NAME", "uv lock --upgrade-package my-pear") if text in str(newer.fix)
    )
    assert "uv lock --upgrade-package plum to a release for x86_64" == foreign.fix


def test_a_truncated_file_of_a_package_of_an_index_is_a_warning_whatever_else_the_package_has() -> None:
    """
    Another file of the package, and one that this base cannot load either, does not hide it.
    """
    found = unloadable_libraries(code(row("plum"), row("pear", "GLIBC", "2.99"), truncated=("pear",)), base_with())
    require_loadable(found, NOTHING, base_with())

    (finding,) = unloadable_findings(found, base_with())

    assert ("image-library-unloadable", Severity.WARNING) == (finding.rule, finding.severity)
    assert "`pear_c.so` is truncated: it ends before its content does" in finding.why
    assert "uv lock --upgrade-package pear to a release with the whole file" == finding.fix


@pytest.mark.parametrize(
    ("built", "fix"), [(True, "uv cache clean plum"), (False, "build the package again, then mlflow-uv log-model")]
)
def test_an_own_package_with_a_truncated_file_is_refused_whatever_builds_the_image(*, built: bool, fix: str) -> None:
    """
    What uv built here is built again without its cache; a wheel in the model was logged with it.
    """
    found = unloadable_libraries(code(row("plum"), truncated=("plum",)), base_with())
    examined = examined_packages(frozenset({"plum"} if built else ()), () if built else (wheel("any"),))

    with pytest.raises(BaseImageUnfit) as refused:
        require_loadable(found, examined, base_with())

    assert not isinstance(refused.value, NotComposable)
    assert ("`plum_c.so` is truncated: it ends before its content does", fix) == (
        refused.value.why, str(refused.value.fix),
    )  # fmt: skip


def test_the_newest_version_that_a_package_needs_is_reported() -> None:
    """
    Of a package that was built, and not of others.
    """
    rows = (row("pear", "GLIBC", "2.2.5"), row("pear", "GLIBC", "2.36"), row("wheel", "GLIBC", "2.99"))

    found = built_packages(rows, examined_packages(frozenset({"pear", "pure"}), ()))

    assert (BuiltPackage(name="pear", glibc="2.36"), BuiltPackage(name="pure", glibc="")) == found
    reasons = [finding.why for finding in source_findings(found, base_with())]
    assert ["it is linked against the GNU C library 2.36, and the base has 2.36", "it has no compiled code"] == reasons


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
