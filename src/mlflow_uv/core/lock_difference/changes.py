"""Lists the packages that differ between two locks."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from enum import Enum

from ..export.indexes import plain_url
from ..lock.lockfile import Lockfile, Package, PackageSource, SourceKind


class ChangeKind(Enum):
    """What happened to a package."""

    ADDED = "added"
    REMOVED = "removed"
    UPDATED = "updated"
    INDEX = "index changed"
    SOURCE = "source changed"
    FILES = "files replaced"


class PackageUse(Enum):
    """Whether a package is part of what is served, or of a group or extra that is not."""

    SERVED = "served"
    DEVELOPMENT = "development"
    UNKNOWN = "unknown"


@dataclass(frozen=True, kw_only=True, slots=True)
class PackageChange:
    """
    A package that differs. Versions are empty where there is none; sources are only given if they differ.

    `files` of a package are replaced if a file of the same name has another hash. `yanked` says that its index withdrew
    the new version.
    """

    name: str
    kind: ChangeKind
    before: str = ""
    after: str = ""
    source_before: str = ""
    source_after: str = ""
    use: PackageUse = PackageUse.UNKNOWN
    yanked: bool = False


def package_changes(
    before: Lockfile | None,
    after: Lockfile | None,
    *,
    used_before: Callable[[Package], PackageUse],
    used_after: Callable[[Package], PackageUse],
) -> tuple[PackageChange, ...]:
    """
    Return the differences between two locks by name, each of which may be absent.

    The version of the project itself and of other folders of the checkout is no difference.
    """
    old, new = (lock.by_name if lock is not None else {} for lock in (before, after))
    changes = []
    for name in sorted({*old, *new}):
        left, right = _apart(old.get(name, ()), new.get(name, ()))
        for one, other in _paired(left, right):
            use = used_after(other) if other is not None else used_before(one) if one is not None else None
            change = _change(name, one, other, use or PackageUse.UNKNOWN)
            if change is not None:
                changes.append(change)
    return tuple(changes)


def _apart(old: Sequence[Package], new: Sequence[Package]) -> tuple[list[Package], list[Package]]:
    """The packages of one name that are not in the other lock with the same version, source and files."""
    kept = [(one, other) for one in old for other in new if _identity(one) == _identity(other)]
    same = [(one, other) for one, other in kept if not _replaced(one, other)]
    left = [one for one in old if all(one is not match for match, _ in same)]
    right = [other for other in new if all(other is not match for _, match in same)]
    return left, right


def _paired(left: Sequence[Package], right: Sequence[Package]) -> Iterator[tuple[Package | None, Package | None]]:
    """Packages that belong together: of the same version first, then in the order of the locks."""
    rest = list(right)
    alone = []
    for one in left:
        match = next((other for other in rest if other.version == one.version), None)
        if match is None:
            alone.append(one)
        else:
            rest.remove(match)
            yield one, match
    for number in range(max(len(alone), len(rest))):
        yield (alone[number] if number < len(alone) else None), (rest[number] if number < len(rest) else None)


def _change(name: str, one: Package | None, other: Package | None, use: PackageUse) -> PackageChange | None:
    if one is None or other is None:
        only = one or other
        version = (only.version or "") if only is not None else ""
        if one is None:
            return PackageChange(name=name, kind=ChangeKind.ADDED, after=version, use=use)
        return PackageChange(name=name, kind=ChangeKind.REMOVED, before=version, use=use)
    source_before, source_after = _shown(one.source), _shown(other.source)
    moved = source_before != source_after
    if not moved and one.source.kind in (SourceKind.EDITABLE, SourceKind.VIRTUAL, SourceKind.DIRECTORY):
        return None
    if one.version != other.version:
        kind = ChangeKind.UPDATED
    elif not moved:
        kind = ChangeKind.FILES
    elif one.source.kind is other.source.kind is SourceKind.REGISTRY:
        kind = ChangeKind.INDEX
    else:
        kind = ChangeKind.SOURCE
    return PackageChange(
        name=name,
        kind=kind,
        before=one.version or "",
        after=other.version or "",
        source_before=source_before if moved else "",
        source_after=source_after if moved else "",
        use=use,
    )


def _identity(package: Package) -> tuple[str | None, str]:
    return package.version, _shown(package.source)


def _replaced(one: Package, other: Package) -> bool:
    """Whether a file of the same name has another hash."""
    before, after = _hashes(one), _hashes(other)
    return any(before[file] != after[file] for file in before.keys() & after.keys())


def _hashes(package: Package) -> dict[str, str]:
    artifacts = (*package.wheels, *((package.sdist,) if package.sdist is not None else ()))
    return {artifact.file: artifact.hash for artifact in artifacts if artifact.hash is not None}


def _shown(source: PackageSource) -> str:
    """A source without credentials: the address alone for an index, else with its kind; of git with its commit."""
    address = plain_url(source.address).rstrip("/")
    if source.kind is SourceKind.REGISTRY:
        return address
    commit = source.address.rpartition("#")[2] if source.kind is SourceKind.GIT else ""
    return " ".join(filter(None, (source.kind.value, address, commit[:12])))
