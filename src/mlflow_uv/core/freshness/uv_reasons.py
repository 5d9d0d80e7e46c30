"""What does uv's own reason point at, where a comparison of lock and manifests sees nothing?"""

import re
from typing import NamedTuple

from .causes import Cause, Difference, ManifestPlace
from .declared import ProjectManifest, Workspace, declared
from .requirement import normal


class Hint(NamedTuple):
    """A difference by uv's words, and the causes that say as much when a comparison named them."""

    difference: Difference
    covers: frozenset[Cause]


_REQUIREMENTS = frozenset(
    {Cause.REQUIREMENT_ADDED, Cause.REQUIREMENT_REMOVED, Cause.REQUIREMENT_CHANGED, Cause.SOURCE, Cause.INDEX}
)
# How uv's reason begins, the cause, and which keys to show: of the project it names, or of uv's settings at the root.
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


def hinted(reason: str, workspace: Workspace) -> Hint | None:
    """What uv's reason names; None where it names nothing that stands in a manifest."""
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
            return _hint(reason, cause, ManifestPlace(_named(reason, workspace).file, keys))
    return None


def _hint(reason: str, cause: Cause, place: ManifestPlace) -> Hint:
    what = "uv would resolve again, although nothing else that can be compared differs"
    covers = _REQUIREMENTS if cause in _REQUIREMENTS else frozenset({cause})
    if reason.startswith("mismatched source"):
        covers |= {Cause.SOURCE}
    if reason.startswith("mismatched group metadata"):
        covers |= _REQUIREMENTS  # what a group wants of Python is part of each of its requirements
    if cause is Cause.MEMBER:
        covers |= {Cause.OPTION}  # another name for the same project
    return Hint(Difference(cause=cause, place=place, what=what, why=f"it says: {reason}"), covers)


def _setting(workspace: Workspace, keys: tuple[str, ...]) -> ManifestPlace:
    """The settings that a uv.toml may hold stand there, the others in the root's manifest."""
    for manifest, path in ((workspace.settings, workspace.options), (workspace.root, ("tool", "uv"))):
        if manifest.get(*path, *keys) is not None:
            return ManifestPlace(manifest.file, (*path, *keys))
    return ManifestPlace(workspace.root.file, ("tool", "uv", *keys))


def _index(workspace: Workspace) -> ManifestPlace:
    """The address that packages come from unless they say otherwise."""
    place = _setting(workspace, ("index",))
    owner = workspace.settings if place.file == workspace.settings.file else workspace.root
    listed = owner.list_at(*map(str, place.path))
    default = [at for at, one in enumerate(listed) if isinstance(one, dict) and one.get("default") is True]
    return ManifestPlace(place.file, (*place.path, default[0] if default else 0, "url"))


def _named(reason: str, workspace: Workspace) -> ProjectManifest:
    found = re.search(r"`([A-Za-z0-9._-]+)(?:==[^`]*)?`", reason)
    name = normal(found[1]) if found else ""
    return next((one for one in (*workspace.members, *workspace.neighbours) if one.name == name), workspace.root)


def blamed(words: str, workspace: Workspace) -> ManifestPlace | None:
    """The requirement that uv's words name first of those that have no solution; None where they name none of ours."""
    wanted = [
        one
        for manifest in (*workspace.members, workspace.root)
        for listed in declared(manifest, workspace).scopes.values()
        for one in listed
    ]
    for name in re.findall(r"depends? on (?:one of:\s*)?([A-Za-z0-9][A-Za-z0-9._-]*)", words):
        found = next((one for one in wanted if one.name == normal(name.rstrip("."))), None)
        if found is not None:
            return found.place
    return None
