"""Examines compiled code in a composed image that no tag of a wheel limits, and refuses what its base cannot load."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from platform import libc_ver
from tempfile import TemporaryDirectory

from ...command.report import Finding, Severity
from ...command.wording import joined, option
from ...core.image.layer_grouping import LayerGroup
from ...core.lock.installable import InstallMethod
from ...core.lock.package_names import canonicalize_name
from ...core.lock.placement import Placement
from ...core.release.record import WheelLink
from ...payloads.messages.lazy_dataclass import lazy_dataclass
from ...tools.engines.library_scanner import NeededSymbols
from ...tools.layers.package_layers import PackagesAsLayers
from ...tools.layers.saved_image import cxx_versions_of, glibc_features_of
from ...tools.system.archives import extract
from ...tools.toolbox import Tools
from .builders import BaseNotComposable
from .composed_base import ComposableBase
from .composed_libraries import environment_place

# Platforms in the tag of a wheel that do not say the C library; PEP 600 has some that do. Build backends give `any`
# to a package with a compiled library that they did not compile themselves.
_UNLIMITED = ("linux_", "any")
C_LIBRARY = "GLIBC"


@lazy_dataclass
class ExaminedPackages:
    """
    Packages whose compiled code may need any C library, and the names of the layers with them.

    `sources` are built from source, and `wheels` are in the model, built on the machine that logged it.
    """

    sources: frozenset[str]
    wheels: frozenset[str]
    layers: frozenset[str]


@lazy_dataclass
class BuiltPackage:
    """A package that was built from source; `glibc` is the C library that it needs, empty without compiled code."""

    name: str
    glibc: str


def is_built_here(placement: Placement, tools: Tools) -> bool:
    """Whether uv builds a package from its source distribution: on a machine of the target's platform alone."""
    here = libc_ver()[0] == "glibc" and placement.target.machine == tools.host.machine
    return here and placement.verdict is InstallMethod.BUILT


def examined_packages(
    sources: frozenset[str], wheels: Iterable[WheelLink], groups: Iterable[LayerGroup]
) -> ExaminedPackages:
    """Return what is examined of the packages that are built from source and the wheels in a model."""
    compiled = frozenset(canonicalize_name(wheel.name) for wheel in wheels if _limits_nothing(wheel.file))
    names = sources | compiled
    layers = frozenset(group.name for group in groups if not names.isdisjoint(group.packages))
    return ExaminedPackages(sources=sources, wheels=compiled, layers=layers)


def built_packages(
    packages: PackagesAsLayers, examined: ExaminedPackages, base: ComposableBase, tools: Tools
) -> tuple[BuiltPackage, ...]:
    """
    Return what was built from source. Nothing of it is loaded: the versions are read from its shared libraries.

    Raises BaseNotComposable if it, or a wheel in the model, was linked against a newer C or C++ library than the base
    has, ToolFailed, OSError.
    """
    if not examined.layers:
        return ()
    with TemporaryDirectory(prefix="mlflow-uv-libraries-") as folder:
        for layer in packages.layers:
            if layer.layer.name in examined.layers:
                extract(layer.archive, Path(folder), environment_place)
        rows = tools.libraries.needed_symbols(Path(folder))
    needed: dict[str, tuple[int, ...]] = {}
    provided: dict[str, tuple[int, ...]] = {C_LIBRARY: base.glibc}
    if any(row.version and row.symbols != C_LIBRARY for row in rows):
        provided |= cxx_versions_of(base.image)
    features: frozenset[str] = frozenset() if all(row.version for row in rows) else glibc_features_of(base.image)
    for row in rows:
        name = canonicalize_name(row.package)
        # A base without a C++ library at all lacks a file, which is another finding.
        lacks = row.version > provided.get(row.symbols, row.version) if row.version else row.symbols not in features
        if name in examined.sources | examined.wheels and lacks:
            origin = "built from source on this machine" if name in examined.sources else "a wheel in the model"
            raise _too_new(f"`{name}`, {origin},", row, provided.get(row.symbols, ()), base)
        if row.symbols == C_LIBRARY:
            needed[name] = max(row.version, needed.get(name, ()))
    return tuple(BuiltPackage(name=name, glibc=_version(needed.get(name, ()))) for name in sorted(examined.sources))


def source_findings(built: Iterable[BuiltPackage], base: ComposableBase) -> Iterator[Finding]:
    """Yield a notice for each package that was built from source: another build may give other bytes."""
    for package in built:
        linked = f"it is linked against the GNU C library {package.glibc}, and the base has {_version(base.glibc)}"
        yield Finding(
            rule="image-package-built",
            severity=Severity.NOTICE,
            what=f"`{package.name}` was built from its source distribution on this machine",
            why=linked if package.glibc else "it has no compiled code",
        )


def _limits_nothing(wheel: str) -> bool:
    """Whether the file name of a wheel has a tag without a C library."""
    return any(tag.startswith(_UNLIMITED) for tag in wheel.removesuffix(".whl").rpartition("-")[2].split("."))


def _too_new(package: str, needed: NeededSymbols, provided: tuple[int, ...], base: ComposableBase) -> BaseNotComposable:
    library = f"the GNU {'C' if needed.symbols == C_LIBRARY else 'C++'} library"
    symbols = "" if needed.symbols == C_LIBRARY else f"{needed.symbols}_"
    why = f"{library} {symbols}{_version(needed.version)}, and the base has {symbols}{_version(provided)}"
    if not needed.version:
        why = f"{needed.symbols} of the GNU C library, and the base has {_version(base.glibc)} without it"
    return BaseNotComposable(
        what=f"{package} does not load on the base image `{base.described.name}`",
        why=f"`{needed.file}` is linked against {why}",
        fix=joined(", or ", (option("builder", "engine"), option("base-image", "NAME"))),
    )


def _version(numbers: tuple[int, ...]) -> str:
    return ".".join(map(str, numbers))
