"""Lists the differences between a workspace's manifests and what its lock was made from."""

from collections.abc import Iterator, Mapping
from typing import Any

from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.version import InvalidVersion, Version

from ..lock.lockfile import Lockfile, Package
from ..lock.package_names import canonicalize_name
from .causes import Cause, Difference, ManifestPlace
from .comparison import Comparison, RequirementsByScope
from .declared_requirements import ProjectManifest, Workspace, declared_requirements
from .equivalence import python_range, same_pythons
from .lock_options import list_differences, option_differences
from .requirement import ManifestRequirement, RequirementScope, parse_locked_requirement, place_of
from .uv_reasons import hint_from_reason


def differences(lock: Lockfile, workspace: Workspace, *, reason: str = "") -> tuple[Difference, ...]:
    """
    Return every difference between the workspace and its lock once, in the order of the manifests.

    `reason` is uv's own reason to resolve again. It names uv's first difference, which this comparison may be unable to
    see, such as a package from an index that only the user's configuration had.
    """
    all_differences = (
        *_requirements(lock, workspace),
        *list_differences(lock, workspace),
        *option_differences(lock, workspace),
    )
    unique: dict[tuple[object, ...], Difference] = {}
    for difference in all_differences:
        shared = difference.cause in (Cause.SOURCE, Cause.INDEX)  # reported once for all requirements that use it
        unique.setdefault((difference.cause, difference.place, "" if shared else difference.what), difference)
    hint = hint_from_reason(reason, workspace) if reason else None
    known = {difference.cause for difference in unique.values()}
    if hint is not None and not hint.covers & known:
        return (*unique.values(), hint.difference)
    return tuple(unique.values())


def not_requirements(workspace: Workspace) -> tuple[Difference, ...]:
    """List the entries that are not valid requirements (PEP 508); uv itself shows the build backend's error instead."""
    unreadable = {
        requirement.place: requirement.text
        for manifest in (*workspace.members, workspace.root)
        for listed in declared_requirements(manifest, workspace).scopes.values()
        for requirement in listed
        if requirement.opaque
    }
    return tuple(
        Difference(cause=Cause.UNREADABLE, place=place, what=f"`{text}` is not a requirement", why="see PEP 508")
        for place, text in unreadable.items()
    )


def _requirements(lock: Lockfile, workspace: Workspace) -> Iterator[Difference]:
    yield from _python(lock, workspace)
    yield from _members(lock, workspace)
    root = workspace.root.folder
    packages = {
        place_of(package.source.address, root): package for package in lock.packages if package.source.kind.local
    }
    for manifest in (*workspace.members, *workspace.neighbours):
        package = packages.get(manifest.folder)
        if package is not None:
            yield from _version(package, manifest)
            yield from Comparison(manifest, workspace, python_range(lock.requires_python)).run(_recorded(package, root))
    if workspace.root not in workspace.members:
        groups = _recorded_groups(lock.manifest.get("dependency-groups", {}), root)
        yield from Comparison(workspace.root, workspace, python_range(lock.requires_python)).run(groups)


def _python(lock: Lockfile, workspace: Workspace) -> Iterator[Difference]:
    declared_ranges = [
        (member, text)
        for member in workspace.members
        if isinstance(text := member.get("project", "requires-python"), str)
    ]
    try:
        ranges = {member.file: SpecifierSet(text) for member, text in declared_ranges}
    except InvalidSpecifier:
        return  # uv reports it itself
    now = SpecifierSet()
    for member_range in ranges.values():
        now &= member_range
    then = python_range(lock.requires_python)
    if not declared_ranges or not lock.requires_python or same_pythons(now, then):
        return
    narrower = [
        (member, text) for member, text in declared_ranges if not same_pythons(then & ranges[member.file], then)
    ]
    manifest, text = (narrower or declared_ranges)[0]
    yield Difference(
        cause=Cause.REQUIRES_PYTHON,
        place=ManifestPlace(manifest.file, ("project", "requires-python")),
        what=f'`requires-python = "{text}"` is not what uv.lock was made from',
        why=f"the lock was made from `{lock.requires_python}`",
    )


def _members(lock: Lockfile, workspace: Workspace) -> Iterator[Difference]:
    listed, root = lock.manifest.get("members"), lock.local(".")
    if isinstance(listed, list):
        then = {canonicalize_name(name) for name in listed if isinstance(name, str)}
    else:
        then = {root.name} if root else set()
    now = {member.name: member for member in workspace.members if member.name}
    folders = {
        place_of(package.source.address, workspace.root.folder): package.name
        for package in lock.packages
        if _local(package)
    }
    for name in sorted(now.keys() - then):
        was = folders.get(now[name].folder)
        if was in then - now.keys():
            then -= {was}
            what = f"the project's name is `{name}`, and uv.lock was made for another name"
            why, cause = f"the lock was made for `{was}`", Cause.OPTION
        else:
            what = f"`{name}` is a member of the workspace that is not in uv.lock"
            why, cause = "the lock was made without it", Cause.MEMBER
        yield Difference(cause=cause, place=ManifestPlace(now[name].file, ("project", "name")), what=what, why=why)
    for name in sorted(then - now.keys()):
        place = ManifestPlace(workspace.root.file, ("tool", "uv", "workspace", "members"))
        what = f"`{name}` is no longer a member of the workspace"
        yield Difference(cause=Cause.MEMBER, place=place, what=what, why="uv.lock was made with it")


def _local(package: Package) -> bool:
    return package.source.kind.local


def _version(package: Package, manifest: ProjectManifest) -> Iterator[Difference]:
    now = manifest.get("project", "version")
    if not isinstance(now, str) or package.version is None or "version" in manifest.dynamic:
        return
    try:
        same = Version(now) == Version(package.version)
    except InvalidVersion:
        same = now == package.version
    if not same:
        yield Difference(
            cause=Cause.OPTION,
            place=ManifestPlace(manifest.file, ("project", "version")),
            what=f'`version = "{now}"` is not what uv.lock was made from',
            why=f"the lock was made from `{package.version}`",
        )


def _recorded(package: Package, root: str) -> RequirementsByScope:
    then: dict[RequirementScope, tuple[ManifestRequirement, ...]] = {RequirementScope(): ()}
    provided = package.metadata.get("provides-extras", [])
    for name in provided if isinstance(provided, list) else ():
        then[RequirementScope("extra", canonicalize_name(str(name)))] = ()
    for entry in _entries(package.metadata.get("requires-dist", [])):
        requirement = parse_locked_requirement(entry, root)
        scope = RequirementScope("extra", requirement.extra) if requirement.extra else RequirementScope()
        then[scope] = (*then.get(scope, ()), requirement)
    return then | _recorded_groups(package.metadata.get("requires-dev", {}), root)


def _recorded_groups(table: Any, root: str) -> dict[RequirementScope, tuple[ManifestRequirement, ...]]:
    if not isinstance(table, Mapping):
        return {}
    return {
        RequirementScope("group", canonicalize_name(name)): tuple(
            parse_locked_requirement(entry, root) for entry in _entries(listed)
        )
        for name, listed in table.items()
    }


def _entries(listed: Any) -> Iterator[Mapping[str, Any]]:
    return (entry for entry in (listed if isinstance(listed, list) else ()) if isinstance(entry, Mapping))
