"""What does a lock put on each target, and how does it get there?"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from .closure import Roots, closure
from .installable import InstallMethod, origin, verdict
from .lockfile import Lockfile, Package, SourceKind
from .targets import Markers, Target, allowed_pythons


@dataclass(frozen=True, kw_only=True, slots=True)
class Placed:
    """A package on a target: how it gets there, and the shortest way from what is served to it."""

    package: Package
    target: Target
    verdict: InstallMethod
    via: tuple[str, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Uncovered:
    """A target that the lock was not made for, by the key of the lock that says so."""

    target: Target
    key: str
    allowed: str


def place(lock: Lockfile, roots: Roots, target: Target) -> tuple[Placed, ...] | Uncovered:
    """
    What `uv sync` would install there, in the order of the lock. Raises BadInput, NotALock.

    A virtual package is not among it: nothing of it is installed.
    """
    markers = Markers(target)
    if not allowed_pythons(lock.requires_python).contains(target.python, prereleases=True):
        return Uncovered(target=target, key="requires-python", allowed=lock.requires_python)
    if lock.supported_markers and not any(map(markers.hold, lock.supported_markers)):
        return Uncovered(target=target, key="supported-markers", allowed=" or ".join(lock.supported_markers))
    tags = target.tags
    return tuple(
        Placed(package=one.package, target=target, verdict=verdict(one.package, tags), via=one.via)
        for one in closure(lock, roots, markers)
        if one.package.source.kind is not SourceKind.VIRTUAL
    )


def together(placed: Iterable[Placed]) -> tuple[tuple[Placed, ...], ...]:
    """The same package on several targets is one thing to say; in the order of the lock."""
    found: dict[int, tuple[Placed, ...]] = {}
    for one in placed:
        found[one.package.position] = (*found.get(one.package.position, ()), one)
    return tuple(found[position] for position in sorted(found))


def origins(placed: Iterable[Placed]) -> Mapping[str, tuple[Package, ...]]:
    """The packages that come from each index or URL, once each."""
    found: dict[str, dict[int, Package]] = {}
    for one in placed:
        address = origin(one.package)
        if address is not None:
            found.setdefault(address, {})[one.package.position] = one.package
    return {address: tuple(packages.values()) for address, packages in found.items()}


def main_index(lock: Lockfile) -> str | None:
    """The index that most of the lock comes from: the lock does not say which was the default."""
    counted = Counter(origin(one) for one in lock.packages if one.source.kind is SourceKind.REGISTRY)
    return counted.most_common(1)[0][0] if counted else None
