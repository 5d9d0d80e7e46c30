"""Maps uv's messages about a lock to causes and to places in the manifests."""

import re
from typing import NamedTuple

from ..lock.package_names import canonicalize_name
from .causes import Cause, Difference, ManifestPlace
from .declared_requirements import ProjectManifest, Workspace, declared_requirements


class Hint(NamedTuple):
    """A difference named by uv, and the causes that make it redundant if a comparison found one of them."""

    difference: Difference
    covers: frozenset[Cause]


_REQUIREMENTS = frozenset(
    {Cause.REQUIREMENT_ADDED, Cause.REQUIREMENT_REMOVED, Cause.REQUIREMENT_CHANGED, Cause.SOURCE, Cause.INDEX}
)
# The beginning of uv's reason, the cause, and the keys: of the project that it names, or of uv's settings at the root.
_KNOWN: tuple[tuple[str, Cause, tuple[str, ...]], ...] = (
    ("mismatched requirements", Cause.REQUIREMENT_CHANGED, ("project", "dependencies")),
    ("mismatched extras", Cause.REQUIREMENT_CHANGED, ("project", "optional-dependencies")),
    ("mismatched dependency groups", Cause.REQUIREMENT_CHANGED, ("dependency-groups",)),
    ("mismatched source", Cause.OPTION, ("build-system",)),
    ("mismatched version", Cause.OPTION, ("project", "version")),
    ("static version", Cause.OPTION, ("project", "version")),
    ("dynamic version", Cause.OPTION, ("project", "dynamic")),
    ("missing version", Cause.OPTION, ("project", "version")),
    ("missing remote index", Cause.INDEX, ("index",)),
    ("missing local index", Cause.INDEX, ("index",)),
    ("change in Python requirement", Cause.REQUIRES_PYTHON, ("project", "requires-python")),
    ("mismatched members", Cause.MEMBER, ("workspace", "members")),
    ("mismatched constraints", Cause.CONSTRAINT, ("constraint-dependencies",)),
    ("mismatched overrides", Cause.OVERRIDE, ("override-dependencies",)),
    ("mismatched build constraints", Cause.BUILD_CONSTRAINT, ("build-constraint-dependencies",)),
    ("mismatched excludes", Cause.EXCLUDE, ("exclude-dependencies",)),
    ("mismatched static metadata", Cause.OPTION, ("dependency-metadata",)),
    ("mismatched member default groups", Cause.OPTION, ("default-groups",)),
    ("mismatched workspace default groups", Cause.OPTION, ("default-groups",)),
    ("mismatched group metadata", Cause.OPTION, ("dependency-groups",)),
    ("change in supported environments", Cause.OPTION, ("environments",)),
    ("change in conflicting groups", Cause.OPTION, ("conflicts",)),
    ("change in resolution mode", Cause.OPTION, ("resolution",)),
    ("change in pre-release mode", Cause.OPTION, ("prerelease",)),
    ("change in package-specific pre-release modes", Cause.OPTION, ("prerelease",)),
    ("change in fork strategy", Cause.OPTION, ("fork-strategy",)),
)


def hint_from_reason(reason: str, workspace: Workspace) -> Hint | None:
    """Return the difference that uv's reason names; None where it names nothing in a manifest."""
    if "exclude newer" in reason:
        key = "exclude-newer-package" if "for package" in reason else "exclude-newer"
        return _hint(reason, Cause.OPTION, _setting(workspace, (key,)))
    for words, cause, keys in _KNOWN:
        if reason.startswith(words):
            of_project = keys[0] in ("project", "dependency-groups", "build-system") and "group metadata" not in words
            if cause is Cause.INDEX:
                return _hint(reason, cause, _index(workspace))
            if not of_project:
                return _hint(reason, cause, _setting(workspace, keys))
            return _hint(reason, cause, ManifestPlace(_named_project(reason, workspace).file, keys))
    return None


def _hint(reason: str, cause: Cause, place: ManifestPlace) -> Hint:
    what = "uv would resolve again, although no other difference was found"
    covers = _REQUIREMENTS if cause in _REQUIREMENTS else frozenset({cause})
    if reason.startswith("mismatched source"):
        covers |= {Cause.SOURCE}
    if reason.startswith("mismatched group metadata"):
        covers |= _REQUIREMENTS  # a group's `requires-python` is part of each of its requirements
    if cause is Cause.MEMBER:
        covers |= {Cause.OPTION}  # another name for the same project
    return Hint(Difference(cause=cause, place=place, what=what, why=f"uv's reason: {reason}"), covers)


def _setting(workspace: Workspace, keys: tuple[str, ...]) -> ManifestPlace:
    """The place of a setting: in uv.toml if it is set there, else in the root's manifest."""
    for manifest, path in ((workspace.settings, workspace.options), (workspace.root, ("tool", "uv"))):
        if manifest.get(*path, *keys) is not None:
            return ManifestPlace(manifest.file, (*path, *keys))
    return ManifestPlace(workspace.root.file, ("tool", "uv", *keys))


def _index(workspace: Workspace) -> ManifestPlace:
    """The place of the default index's address."""
    place = _setting(workspace, ("index",))
    owner = workspace.settings if place.file == workspace.settings.file else workspace.root
    listed = owner.list_at(*map(str, place.path))
    default = [at for at, index in enumerate(listed) if isinstance(index, dict) and index.get("default") is True]
    return ManifestPlace(place.file, (*place.path, default[0] if default else 0, "url"))


def _named_project(reason: str, workspace: Workspace) -> ProjectManifest:
    match = re.search(r"`([A-Za-z0-9._-]+)(?:==[^`]*)?`", reason)
    name = canonicalize_name(match[1]) if match else ""
    return next(
        (member for member in (*workspace.members, *workspace.neighbours) if member.name == name), workspace.root
    )


def blamed_place(words: str, workspace: Workspace) -> ManifestPlace | None:
    """The place of the first requirement in uv's message about an unsolvable resolution; None where it names none."""
    requirements = [
        requirement
        for manifest in (*workspace.members, workspace.root)
        for listed in declared_requirements(manifest, workspace).scopes.values()
        for requirement in listed
    ]
    for name in re.findall(r"depends? on (?:one of:\s*)?([A-Za-z0-9][A-Za-z0-9._-]*)", words):
        blamed_requirement = next(
            (requirement for requirement in requirements if requirement.name == canonicalize_name(name.rstrip("."))),
            None,
        )
        if blamed_requirement is not None:
            return blamed_requirement.place
    return None
