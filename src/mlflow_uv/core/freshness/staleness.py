"""Why is a lock not fresh? What it says it was made from, against what the manifests say now."""

from collections.abc import Iterator, Mapping
from typing import Any

from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.version import InvalidVersion, Version

from ..lock.lockfile import Lockfile, Package
from .causes import Cause, Difference, ManifestPlace
from .comparison import By, Comparison
from .declared import ProjectManifest, Workspace, declared
from .equivalence import python_range, same_pythons
from .lock_options import list_differences, option_differences
from .requirement import ManifestRequirement, RequirementScope, normal, place_of, recorded
from .uv_reasons import hinted


def differences(lock: Lockfile, workspace: Workspace, *, reason: str = "") -> tuple[Difference, ...]:
    """
    Everything that the lock was not made from, each once, in the order of the manifests.

    `reason` is why uv would resolve again, in its words: it names the first thing that it came upon, and so what this
    comparison cannot see, such as a package from an index that only the caller's configuration had.
    """
    found = (*_requirements(lock, workspace), *list_differences(lock, workspace), *option_differences(lock, workspace))
    once: dict[tuple[object, ...], Difference] = {}
    for one in found:
        shared = one.cause in (Cause.SOURCE, Cause.INDEX)  # one address, however many requirements go by it
        once.setdefault((one.cause, one.place, "" if shared else one.what), one)
    hint = hinted(reason, workspace) if reason else None
    known = {one.cause for one in once.values()}
    if hint is not None and not hint.covers & known:
        return (*once.values(), hint.difference)
    return tuple(once.values())


def not_requirements(workspace: Workspace) -> tuple[Difference, ...]:
    """Lines that are no requirement (PEP 508), which uv tells by whatever a build backend makes of them."""
    found = {
        one.place: one.text
        for manifest in (*workspace.members, workspace.root)
        for listed in declared(manifest, workspace).scopes.values()
        for one in listed
        if one.opaque
    }
    return tuple(
        Difference(cause=Cause.UNREADABLE, place=place, what=f"`{text}` is not a requirement", why="see PEP 508")
        for place, text in found.items()
    )


def _requirements(lock: Lockfile, workspace: Workspace) -> Iterator[Difference]:
    yield from _python(lock, workspace)
    yield from _members(lock, workspace)
    root = workspace.root.folder
    packages = {place_of(one.source.address, root): one for one in lock.packages if one.source.kind.local}
    for manifest in (*workspace.members, *workspace.neighbours):
        package = packages.get(manifest.folder)
        if package is not None:
            yield from _version(package, manifest)
            yield from Comparison(manifest, workspace, python_range(lock.requires_python)).run(_recorded(package, root))
    if workspace.root not in workspace.members:
        groups = _recorded_groups(lock.manifest.get("dependency-groups", {}), root)
        yield from Comparison(workspace.root, workspace, python_range(lock.requires_python)).run(groups)


def _python(lock: Lockfile, workspace: Workspace) -> Iterator[Difference]:
    asked = [(one, text) for one in workspace.members if isinstance(text := one.get("project", "requires-python"), str)]
    try:
        ranges = {one.file: SpecifierSet(text) for one, text in asked}
    except InvalidSpecifier:
        return  # uv says so itself
    now = SpecifierSet()
    for one in ranges.values():
        now &= one
    then = python_range(lock.requires_python)
    if not asked or not lock.requires_python or same_pythons(now, then):
        return
    narrower = [(one, text) for one, text in asked if not same_pythons(then & ranges[one.file], then)]
    manifest, text = (narrower or asked)[0]
    yield Difference(
        cause=Cause.REQUIRES_PYTHON,
        place=ManifestPlace(manifest.file, ("project", "requires-python")),
        what=f'`requires-python = "{text}"` is not what uv.lock was made from',
        why=f"the lock was made from `{lock.requires_python}`",
    )


def _members(lock: Lockfile, workspace: Workspace) -> Iterator[Difference]:
    listed, root = lock.manifest.get("members"), lock.local(".")
    if isinstance(listed, list):
        then = {normal(one) for one in listed if isinstance(one, str)}
    else:
        then = {root.name} if root else set()
    now = {one.name: one for one in workspace.members if one.name}
    folders = {place_of(one.source.address, workspace.root.folder): one.name for one in lock.packages if _local(one)}
    for name in sorted(now.keys() - then):
        was = folders.get(now[name].folder)
        if was in then - now.keys():
            then -= {was}
            what = f"the project is called `{name}`, and uv.lock was made for another name"
            why, cause = f"the lock was made for `{was}`", Cause.OPTION
        else:
            what = f"`{name}` is a member of the workspace that uv.lock does not know"
            why, cause = "the lock was made without it", Cause.MEMBER
        yield Difference(cause=cause, place=ManifestPlace(now[name].file, ("project", "name")), what=what, why=why)
    for name in sorted(then - now.keys()):
        place = ManifestPlace(workspace.root.file, ("tool", "uv", "workspace", "members"))
        what = f"`{name}` is no member of the workspace any more"
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


def _recorded(package: Package, root: str) -> By:
    then: dict[RequirementScope, tuple[ManifestRequirement, ...]] = {RequirementScope(): ()}
    provided = package.metadata.get("provides-extras", [])
    for name in provided if isinstance(provided, list) else ():
        then[RequirementScope("extra", normal(str(name)))] = ()
    for entry in _entries(package.metadata.get("requires-dist", [])):
        one = recorded(entry, root)
        scope = RequirementScope("extra", one.extra) if one.extra else RequirementScope()
        then[scope] = (*then.get(scope, ()), one)
    return then | _recorded_groups(package.metadata.get("requires-dev", {}), root)


def _recorded_groups(table: Any, root: str) -> dict[RequirementScope, tuple[ManifestRequirement, ...]]:
    if not isinstance(table, Mapping):
        return {}
    return {
        RequirementScope("group", normal(name)): tuple(recorded(entry, root) for entry in _entries(listed))
        for name, listed in table.items()
    }


def _entries(listed: Any) -> Iterator[Mapping[str, Any]]:
    return (one for one in (listed if isinstance(listed, list) else ()) if isinstance(one, Mapping))
