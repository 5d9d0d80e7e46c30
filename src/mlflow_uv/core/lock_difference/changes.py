"""Lists the packages that differ between two locks."""

from collections.abc import Callable, Iterator, Sequence
from enum import Enum

from ...payloads.messages.lazy_dataclass import lazy_dataclass
from ..lock.lockfile import Lockfile, Package, SourceKind
from .origins import UsualOrigins, file_differences, same_source, source_texts


class ChangeKind(Enum):
    """What happened to a package."""

    ADDED = "added"
    REMOVED = "removed"
    UPDATED = "updated"
    INDEX = "index changed"
    SOURCE = "source changed"
    FILES = "files replaced"
    FILE_LIST = "files added or removed"
    USE = "use changed"


class PackageUse(Enum):
    """Whether a package is part of what is served, or of a group or extra that is not."""

    SERVED = "served"
    DEVELOPMENT = "development"
    UNKNOWN = "unknown"


@lazy_dataclass
class PackageChange:
    """
    A package that differs. Versions are empty where there is none.

    Sources are given if they differ, and the one of a new package if it is not where most packages of the lock come
    from. Files are replaced if one of the same version has another address or hash, lost its hash, or is new from
    another host; `files` says which, also of an update whose files come from another host. `use` is what a package is
    for before or after, whichever is more. `yanked` says that its index withdrew the new version, and `vulnerabilities`
    which are known of it, one text each.
    """

    name: str
    kind: ChangeKind
    before: str = ""
    after: str = ""
    source_before: str = ""
    source_after: str = ""
    files: str = ""
    use: PackageUse = PackageUse.UNKNOWN
    yanked: bool = False
    vulnerabilities: tuple[str, ...] = ()


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
    usual = UsualOrigins.of(before or after)
    changes: list[PackageChange | None] = []
    for name in sorted({*old, *new}):
        same, left, right = _apart(old.get(name, ()), new.get(name, ()))
        changes += [_other_use(one, used_before(one), used_after(other)) for one, other in same]
        for one, other in _paired(left, right):
            use = _use(used_before(one) if one else None, used_after(other) if other else None)
            if one is not None and other is not None:
                changes.append(_change(one, other, use, usual))
            elif one is not None:
                changes.append(PackageChange(name=name, kind=ChangeKind.REMOVED, before=one.version or "", use=use))
            elif other is not None:
                changes.append(_added(other, use, usual))
    return tuple(filter(None, changes))


Pairs = list[tuple[Package, Package]]


def _apart(old: Sequence[Package], new: Sequence[Package]) -> tuple[Pairs, list[Package], list[Package]]:
    """The packages of one name that are in both locks with the same version, source and files, and all others."""
    same = [
        (one, other)
        for one in old
        for other in new
        if one.version == other.version and same_source(one, other) and _files(one) == _files(other)
    ]
    left = [one for one in old if all(one is not match for match, _ in same)]
    right = [other for other in new if all(other is not match for _, match in same)]
    return same, left, right


def _files(package: Package) -> set[tuple[str, str, str | None]]:
    return {(artifact.file, artifact.url, artifact.hash) for artifact in package.artifacts}


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


def _use(before: PackageUse | None, after: PackageUse | None) -> PackageUse:
    """What a package is for: a package that was served, or is now, changes what is served."""
    uses = {before, after}
    if PackageUse.SERVED in uses:
        return PackageUse.SERVED
    return PackageUse.UNKNOWN if PackageUse.UNKNOWN in uses else PackageUse.DEVELOPMENT


def _other_use(package: Package, before: PackageUse, after: PackageUse) -> PackageChange | None:
    """A package that is the same, and served only before or only after."""
    if before is after or PackageUse.UNKNOWN in {before, after}:
        return None
    served_now = after is PackageUse.SERVED
    version = package.version or ""
    return PackageChange(
        name=package.name,
        kind=ChangeKind.USE,
        before="" if served_now else version,
        after=version if served_now else "",
        use=PackageUse.SERVED,
    )


def _added(package: Package, use: PackageUse, usual: UsualOrigins) -> PackageChange:
    return PackageChange(
        name=package.name,
        kind=ChangeKind.ADDED,
        after=package.version or "",
        source_after=usual.unusual_source(package),
        files=usual.unusual_files(package),
        use=use,
    )


def _change(one: Package, other: Package, use: PackageUse, usual: UsualOrigins) -> PackageChange | None:
    moved = not same_source(one, other)
    if not moved and one.source.kind in (SourceKind.EDITABLE, SourceKind.VIRTUAL, SourceKind.DIRECTORY):
        return None
    files = usual.unusual_files(other)
    if one.version != other.version:
        kind = ChangeKind.UPDATED
    elif not moved:
        replaced = file_differences(one, other, usual)
        kind, files = (ChangeKind.FILES, replaced) if replaced else (ChangeKind.FILE_LIST, "")
    elif one.source.kind is other.source.kind is SourceKind.REGISTRY:
        kind = ChangeKind.INDEX
    else:
        kind = ChangeKind.SOURCE
    before, after = source_texts(one.source, other.source) if moved else ("", "")
    return PackageChange(
        name=one.name,
        kind=kind,
        before=one.version or "",
        after=other.version or "",
        source_before=before,
        source_after=after,
        files=files,
        use=use,
    )
