"""Examines compiled code in a composed image, and refuses or reports what its base cannot load."""

from collections.abc import Iterable, Iterator, Sequence
from enum import Enum
from platform import libc_ver

from ...command.errors import BaseImageUnfit
from ...command.report import Finding, Severity
from ...command.wording import Wording, joined, option, step_call
from ...core.lock.installable import InstallMethod
from ...core.lock.package_names import canonicalize_name
from ...core.lock.placement import Placement
from ...core.release.record import WheelLink
from ...payloads.messages.lazy_dataclass import lazy_dataclass
from ...tools.engines.library_scanner import CompiledCode, NeededSymbols
from ...tools.toolbox import Tools
from .builders import BaseNotComposable
from .composed_base import ComposableBase

# Platforms in the tag of a wheel that do not say the C library; PEP 600 has some that do. Build backends give `any`
# to a package with a compiled library that they did not compile themselves.
_UNLIMITED = ("linux_", "any")
C_LIBRARY = "GLIBC"


@lazy_dataclass
class ExaminedPackages:
    """
    Packages whose compiled code may need any C library, by their names.

    `sources` are built from source, and `wheels` are in the model, built on the machine that logged it.
    """

    sources: frozenset[str]
    wheels: frozenset[str]


class LoadObstacle(Enum):
    """What keeps a base from loading a library."""

    ARCHITECTURE = "architecture"
    OLDER_BASE = "older-base"
    TRUNCATED = "truncated"


@lazy_dataclass
class UnloadableLibrary:
    """The reason why a base cannot load a library of a package."""

    package: str
    why: str
    obstacle: LoadObstacle


@lazy_dataclass
class BuiltPackage:
    """A package that was built from source; `glibc` is the C library that it needs, empty without compiled code."""

    name: str
    glibc: str


def is_built_here(placement: Placement, tools: Tools) -> bool:
    """Whether uv builds a package from its source distribution: on a machine of the target's platform alone."""
    here = libc_ver()[0] == "glibc" and placement.target.machine == tools.host.machine
    return here and placement.verdict is InstallMethod.BUILT


def examined_packages(sources: frozenset[str], wheels: Iterable[WheelLink]) -> ExaminedPackages:
    """Return what was made on a machine of this project: packages that are built from source, and wheels in a model."""
    compiled = frozenset(canonicalize_name(wheel.name) for wheel in wheels if _limits_nothing(wheel.file))
    return ExaminedPackages(sources=sources, wheels=compiled)


def unloadable_libraries(code: CompiledCode, base: ComposableBase) -> tuple[UnloadableLibrary, ...]:
    """
    Return a shared library that the base cannot load for each package that has one.

    Nothing is loaded: architectures and needed versions are read from the files. A package may have libraries for
    several architectures, of which one is enough. No base loads a truncated one.
    """
    by_package: dict[str, list[NeededSymbols]] = {}
    for row in code.needed:
        by_package.setdefault(canonicalize_name(row.package), []).append(row)
    found = {package: library for package, rows in by_package.items() if (library := _unloadable(package, rows, base))}
    for file in code.truncated:
        package, why = canonicalize_name(file.package), f"`{file.file}` is truncated: it ends before its content does"
        found[package] = UnloadableLibrary(package=package, why=why, obstacle=LoadObstacle.TRUNCATED)
    return tuple(library for _, library in sorted(found.items()))


def require_loadable(found: Iterable[UnloadableLibrary], examined: ExaminedPackages, base: ComposableBase) -> None:
    """
    Raise for a library that the base cannot load if it was made on a machine of this project, and not for an index.

    Raises BaseNotComposable for a newer C or C++ library than that of the base, and BaseImageUnfit for another
    architecture and for a truncated file, which no base image and no engine changes.
    """
    for library in found:
        if library.package not in examined.sources | examined.wheels:
            continue
        made = "built from source on this machine" if library.package in examined.sources else "a wheel in the model"
        what = f"`{library.package}`, {made}, does not load on the base image `{base.described.name}`"
        match library.obstacle:
            case LoadObstacle.ARCHITECTURE:
                fix = f"log the model with a wheel of {library.package} for {base.machine}, or compose no image for it"
                raise BaseImageUnfit(what=what, why=library.why, fix=fix)
            case LoadObstacle.TRUNCATED:
                again = Wording("build the package again, then ", step_call("log-model"))
                fix = f"uv cache clean {library.package}" if library.package in examined.sources else again
                raise BaseImageUnfit(what=what, why=library.why, fix=fix)
            case LoadObstacle.OLDER_BASE:
                fix = joined(", or ", (option("builder", "engine"), option("base-image", "NAME")))
                raise BaseNotComposable(what=what, why=library.why, fix=fix)


def unloadable_findings(found: Iterable[UnloadableLibrary], base: ComposableBase) -> Iterator[Finding]:
    """Yield a warning for each package of an index with a library that the base cannot load, whatever its tag says."""
    for library in found:
        upgrade = f"uv lock --upgrade-package {library.package}"
        fixes = {
            LoadObstacle.ARCHITECTURE: f"{upgrade} to a release for {base.machine}",
            LoadObstacle.OLDER_BASE: Wording(option("base-image", "NAME"), f" with newer libraries, or {upgrade}"),
            LoadObstacle.TRUNCATED: f"{upgrade} to a release with the whole file",
        }
        yield Finding(
            rule="image-library-unloadable",
            severity=Severity.WARNING,
            what=f"`{library.package}` has a shared library that the base image `{base.described.name}` cannot load",
            why=f"{library.why}; whether the model needs it shows when the image is tested there",
            fix=fixes[library.obstacle],
        )


def built_packages(needed: Iterable[NeededSymbols], examined: ExaminedPackages) -> tuple[BuiltPackage, ...]:
    """Return what was built from source, with the newest version of the C library that its shared libraries need."""
    newest: dict[str, tuple[int, ...]] = {}
    for row in needed:
        if row.symbols == C_LIBRARY:
            name = canonicalize_name(row.package)
            newest[name] = max(row.version, newest.get(name, ()))
    return tuple(BuiltPackage(name=name, glibc=_version(newest.get(name, ()))) for name in sorted(examined.sources))


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


def _unloadable(package: str, rows: Sequence[NeededSymbols], base: ComposableBase) -> UnloadableLibrary | None:
    """A library of a package that the base cannot load; None if it can load all."""
    own = [row for row in rows if row.machine == base.machine]
    if not own:
        why = f"`{rows[0].file}` is compiled for {rows[0].machine}, and the base is for {base.machine}"
        return UnloadableLibrary(package=package, why=why, obstacle=LoadObstacle.ARCHITECTURE)
    lacking = next((row for row in own if row.symbols and _lacks(base, row)), None)
    if lacking is None:
        return None
    why = f"`{lacking.file}` is linked against {_newer(lacking, base)}"
    return UnloadableLibrary(package=package, why=why, obstacle=LoadObstacle.OLDER_BASE)


def _lacks(base: ComposableBase, row: NeededSymbols) -> bool:
    if not row.version:
        return row.symbols not in base.features
    # A base without a C++ library at all lacks a file, which is another finding.
    return row.version > _provided(base, row.symbols, row.version)


def _newer(needed: NeededSymbols, base: ComposableBase) -> str:
    if not needed.version:
        return f"{needed.symbols} of the GNU C library, and the base has {_version(base.glibc)} without it"
    library = f"the GNU {'C' if needed.symbols == C_LIBRARY else 'C++'} library"
    symbols = "" if needed.symbols == C_LIBRARY else f"{needed.symbols}_"
    provided = _version(_provided(base, needed.symbols, ()))
    return f"{library} {symbols}{_version(needed.version)}, and the base has {symbols}{provided}"


def _provided(base: ComposableBase, symbols: str, default: tuple[int, ...]) -> tuple[int, ...]:
    return base.glibc if symbols == C_LIBRARY else base.cxx.get(symbols, default)


def _version(numbers: tuple[int, ...]) -> str:
    return ".".join(map(str, numbers))
