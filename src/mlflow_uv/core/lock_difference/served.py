"""Compares what two locks install on a target, and tells served packages from those of development."""

from collections.abc import Callable, Iterable, Sequence

from ...command.errors import BadInput
from ..lock.closure import Roots
from ..lock.install_findings import NOT_WHEELS
from ..lock.installable import fits
from ..lock.lockfile import Lockfile, NotALock, Package
from ..lock.placement import Placement, Uncovered, place
from ..lock.served_packages import served_packages
from ..lock.targets import Target
from .changes import PackageUse
from .comparison import TargetComparison, TargetProblem


def usage(lock: Lockfile, roots: Sequence[Roots]) -> Callable[[Package], PackageUse]:
    """Return how to tell whether a package of the lock is served. Raises BadInput, NotALock for a bad selection."""
    positions = {installed.package.position for each in roots for installed in served_packages(lock, each)}
    positions |= {package.position for each in roots for package in each.packages}
    return lambda package: PackageUse.SERVED if package.position in positions else PackageUse.DEVELOPMENT


def unknown_usage(_package: Package) -> PackageUse:
    """Say that it is unknown whether a package is served."""
    return PackageUse.UNKNOWN


def compare_target(
    before: tuple[Lockfile, Sequence[Roots]] | None, after: tuple[Lockfile, Sequence[Roots]], target: Target
) -> TargetComparison:
    """Compare what is installed on a target; only problems that are new are listed."""
    try:
        new = _placed(*after, target)
    except (BadInput, NotALock) as error:
        return TargetComparison(target=str(target), uncovered=str(error))
    if isinstance(new, Uncovered):
        return TargetComparison(target=str(target), uncovered=f"`{new.key}` of the lock is {new.allowed}")
    try:
        old = _placed(*before, target) if before is not None else ()
    except (BadInput, NotALock):
        old = ()
    known = () if isinstance(old, Uncovered) else old
    tags = target.tags
    had = {_problem(placement) for placement in known if placement.verdict in NOT_WHEELS}
    sizes_before, sizes_after = _sizes(known, tags), _sizes(new, tags)
    # Locks from some indexes have no sizes: one that only the other lock has counts for both.
    sizes_before, sizes_after = sizes_after | sizes_before, sizes_before | sizes_after
    remote = {_identity(placement) for placement in (*known, *new) if not placement.package.source.kind.local}
    return TargetComparison(
        target=str(target),
        packages_before=len(known),
        packages_after=len(new),
        bytes_before=sum(sizes_before.get(_identity(placement), 0) for placement in known),
        bytes_after=sum(sizes_after.get(_identity(placement), 0) for placement in new),
        unknown=len(remote - sizes_after.keys()),
        problems=tuple(
            problem
            for placement in new
            if placement.verdict in NOT_WHEELS and (problem := _problem(placement)) not in had
        ),
    )


def _placed(lock: Lockfile, roots: Iterable[Roots], target: Target) -> tuple[Placement, ...] | Uncovered:
    """What all roots need, each package once."""
    placements: dict[int, Placement] = {}
    for each in roots:
        placed = place(lock, each, target)
        if isinstance(placed, Uncovered):
            return placed
        placements |= {placement.package.position: placement for placement in placed}
    return tuple(placements[position] for position in sorted(placements))


def _identity(placement: Placement) -> tuple[str, str]:
    return placement.package.name, placement.package.version or ""


def _sizes(placements: Iterable[Placement], tags: frozenset[str]) -> dict[tuple[str, str], int]:
    """The sizes of packages that a lock knows, by name and version."""
    sizes = ((_identity(placement), _size(placement.package, tags)) for placement in placements)
    return {identity: size for identity, size in sizes if size is not None}


def _problem(placement: Placement) -> TargetProblem:
    return TargetProblem(
        package=placement.package.name, version=placement.package.version or "", method=placement.verdict.value
    )


def _size(package: Package, tags: frozenset[str]) -> int | None:
    """The bytes of the largest wheel that fits, else of the source distribution; None if the lock does not say."""
    wheels = [wheel.size for wheel in package.wheels if fits(wheel.file, tags)]
    if wheels:
        return max((size for size in wheels if size is not None), default=None)
    return package.sdist.size if package.sdist is not None else None
