"""Lists what a lock installs on each target, and how each package is installed there."""

from collections import Counter
from collections.abc import Iterable, Mapping

from ...payloads.messages.lazy_dataclass import lazy_dataclass
from .closure import Roots, closure
from .installable import InstallMethod, install_method, origin
from .lockfile import Lockfile, Package, SourceKind
from .targets import Markers, Target


@lazy_dataclass
class Placement:
    """A package on a target: how it is installed, and the shortest dependency path to it."""

    package: Package
    target: Target
    verdict: InstallMethod
    via: tuple[str, ...]


@lazy_dataclass
class Uncovered:
    """A target that the lock does not support: the lock's key that excludes it, and what that key allows."""

    target: Target
    key: str
    allowed: str


def place(lock: Lockfile, roots: Roots, target: Target) -> tuple[Placement, ...] | Uncovered:
    """
    Return what `uv sync` would install on a target, in the order of the lock. Raises BadInput, NotALock.

    Virtual packages are left out, since they are not installed themselves.
    """
    from .python_ranges import allowed_pythons  # noqa: PLC0415  # imports `packaging`

    markers = Markers(target)
    if not allowed_pythons(lock.requires_python).contains(target.python, prereleases=True):
        return Uncovered(target=target, key="requires-python", allowed=lock.requires_python)
    if lock.supported_markers and not any(map(markers.hold, lock.supported_markers)):
        return Uncovered(target=target, key="supported-markers", allowed=" or ".join(lock.supported_markers))
    tags = target.tags
    return tuple(
        Placement(
            package=installed.package, target=target, verdict=install_method(installed.package, tags), via=installed.via
        )
        for installed in closure(lock, roots, markers)
        if installed.package.source.kind is not SourceKind.VIRTUAL
    )


def group_by_package(placed: Iterable[Placement]) -> tuple[tuple[Placement, ...], ...]:
    """Group placements on several targets by package, in the order of the lock."""
    by_position: dict[int, tuple[Placement, ...]] = {}
    for placement in placed:
        by_position[placement.package.position] = (*by_position.get(placement.package.position, ()), placement)
    return tuple(by_position[position] for position in sorted(by_position))


def origins(placed: Iterable[Placement]) -> Mapping[str, tuple[Package, ...]]:
    """The packages of each index or URL, without duplicates."""
    by_address: dict[str, dict[int, Package]] = {}
    for placement in placed:
        address = origin(placement.package)
        if address is not None:
            by_address.setdefault(address, {})[placement.package.position] = placement.package
    return {address: tuple(packages.values()) for address, packages in by_address.items()}


def main_index(lock: Lockfile) -> str | None:
    """The index that most packages come from, as the lock does not record the default index; None without any."""
    package_counts = Counter(origin(package) for package in lock.packages if package.source.kind is SourceKind.REGISTRY)
    return package_counts.most_common(1)[0][0] if package_counts else None
