"""Examines packages of a composed image that were built from source, and refuses what its base cannot load."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from platform import libc_ver
from tempfile import TemporaryDirectory

from ...command.report import Finding, Severity
from ...command.wording import joined, option
from ...core.lock.installable import InstallMethod
from ...core.lock.package_names import canonicalize_name
from ...core.lock.placement import Placement
from ...payloads.messages.lazy_dataclass import lazy_dataclass
from ...tools.layers.package_layers import PackagesAsLayers
from ...tools.system.archives import extract
from ...tools.toolbox import Tools
from .builders import BaseNotComposable
from .composed_base import ComposableBase
from .composed_libraries import environment_place


@lazy_dataclass
class BuiltPackage:
    """A package that was built from source; `glibc` is the C library that it needs, empty without compiled code."""

    name: str
    glibc: str


def is_built_here(placement: Placement, tools: Tools) -> bool:
    """Whether uv builds a package from its source distribution: on a machine of the target's platform alone."""
    here = libc_ver()[0] == "glibc" and placement.target.machine == tools.host.machine
    return here and placement.verdict is InstallMethod.BUILT


def built_packages(
    packages: PackagesAsLayers, names: Iterable[str], base: ComposableBase, tools: Tools
) -> tuple[BuiltPackage, ...]:
    """
    Return what was built from source. Nothing of it is loaded: the versions are read from its shared libraries.

    Raises BaseNotComposable if one was linked against a newer C library than the base has, ToolFailed, OSError.
    """
    built = sorted(names)
    if not built:
        return ()
    with TemporaryDirectory(prefix="mlflow-uv-libraries-") as folder:
        for layer in packages.layers:
            if layer.layer.name in packages.built:
                extract(layer.archive, Path(folder), environment_place)
        rows = tools.libraries.needed_glibc(Path(folder))
    needed: dict[str, tuple[int, ...]] = {}
    for package, file, version in rows:
        name, numbers = canonicalize_name(package), tuple(map(int, version.split(".")))
        if name in built and numbers > base.glibc:
            raise _too_new(name, file, version, base)
        needed[name] = max(numbers, needed.get(name, ()))
    return tuple(BuiltPackage(name=name, glibc=".".join(map(str, needed.get(name, ())))) for name in built)


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


def _too_new(name: str, file: str, version: str, base: ComposableBase) -> BaseNotComposable:
    return BaseNotComposable(
        what=f"`{name}`, built from source on this machine, does not load on the base image `{base.described.name}`",
        why=f"`{file}` is linked against the GNU C library {version}, and the base has {_version(base.glibc)}",
        fix=joined(", or ", (option("builder", "engine"), option("base-image", "NAME"))),
    )


def _version(glibc: tuple[int, int]) -> str:
    return ".".join(map(str, glibc))
