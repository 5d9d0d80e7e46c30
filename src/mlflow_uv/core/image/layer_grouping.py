"""Divides the packages of a lock among the layers of an image, so that a change of one package changes one layer."""

from collections.abc import Iterable

from ...payloads.messages.lazy_dataclass import lazy_dataclass
from ..lock.lockfile import Package
from ..release.digests import sha256
from .layers import MLFLOW_EDITIONS, artifacts_of, large_packages

# A package whose wheel has this many bytes gets a layer of its own: what a release sends again is then that package.
OWN_BYTES = 1_000_000
# Engines accept 127 layers, and the base needs some of them.
MOST_LAYERS, MOST_OWN, SHARED = 127, 64, 16


@lazy_dataclass
class SizedPackage:
    """A package, and the bytes of its largest wheel."""

    name: str
    size: int


@lazy_dataclass
class LayerGroup:
    """The packages of one layer, sorted by name."""

    name: str
    packages: tuple[str, ...]


def sized(packages: Iterable[Package]) -> tuple[SizedPackage, ...]:
    """
    The packages of a lock with their sizes; a name that is locked more than once has the largest.

    The size is that of the largest wheel for any platform, so that every platform has the same groups. Where a lock
    lacks sizes, a large package counts as OWN_BYTES, and any other as 0.
    """
    sizes: dict[str, int] = {}
    for package in packages:
        known = [artifact.size for artifact in artifacts_of(package)]
        guess = OWN_BYTES if package.name in large_packages((package,)) else 0
        size = guess if None in known else max(filter(None, known), default=0)
        sizes[package.name] = max(sizes.get(package.name, 0), size)
    return tuple(SizedPackage(name=name, size=size) for name, size in sorted(sizes.items()))


def grouped(packages: Iterable[SizedPackage]) -> tuple[LayerGroup, ...]:
    """
    The layers of packages, lowest first: at most MOST_OWN of a single package, then at most SHARED of several.

    A small package is in the layer that the SHA-256 of its name selects. Other packages that come or go therefore do
    not move it; only a package that comes above the limit of MOST_OWN moves the smallest one with its own layer.

    Larger packages are lower: an engine that has the version before writes the changed layer and all above it again.
    Packages of a size up to twice that of another are sorted by name, so that few new versions move a layer.

    The editions of MLflow count as one package, of the largest size, so that a file of several is in the image once.
    """
    known = {package.name: package for package in packages}
    editions = tuple(sorted(known.keys() & MLFLOW_EDITIONS))
    for name in editions[1:]:
        known[editions[0]] = SizedPackage(name=editions[0], size=max(known[editions[0]].size, known.pop(name).size))
    members = {name: editions if name in editions else (name,) for name in known}
    large = sorted((p for p in known.values() if p.size >= OWN_BYTES), key=lambda p: (-p.size, p.name))[:MOST_OWN]
    own = {package.name for package in large}
    shared: dict[int, list[str]] = {}
    for name in sorted(known.keys() - own):
        shared.setdefault(int(sha256(name.encode()), 16) % SHARED, []).extend(members[name])
    return (
        *(
            LayerGroup(name=p.name, packages=members[p.name])
            for p in sorted(large, key=lambda p: (-_magnitude(p), p.name))
        ),
        *(LayerGroup(name=f"shared {at}", packages=tuple(sorted(names))) for at, names in sorted(shared.items())),
    )


def _magnitude(package: SizedPackage) -> int:
    """The power of two above a size."""
    return package.size.bit_length()
