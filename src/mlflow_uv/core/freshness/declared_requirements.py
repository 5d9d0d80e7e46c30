"""Reads the requirements that manifests declare, in the form in which the lock records them."""

from collections.abc import Iterator, Mapping
from dataclasses import field, replace
from typing import Any

from ...payloads.messages.lazy_dataclass import lazy_dataclass
from ..lock.markers import readable
from ..lock.package_names import canonicalize_name
from .causes import ManifestPlace
from .requirement import (
    ANYWHERE,
    COPIED,
    EDITABLE,
    UNKNOWN,
    ManifestRequirement,
    Origin,
    RequirementScope,
    address_of,
    git_origin,
    normalized_url,
    parse_requirement,
    place_of,
)

Table = Mapping[str, Any]


@lazy_dataclass
class ProjectManifest:
    """A pyproject.toml or uv.toml: its path relative to the lock's folder, its absolute folder, and its content."""

    file: str
    folder: str
    table: Table = field(repr=False)
    sources: Mapping[str, tuple[str, Any]] = field(init=False, repr=False, compare=False)
    """The keys and values of `tool.uv.sources` by normalised package name."""

    def __post_init__(self) -> None:
        """Read the sources once, since they are looked up for every requirement."""
        table = self.table_at("tool", "uv", "sources")
        object.__setattr__(
            self, "sources", {canonicalize_name(key): (key, value) for key, value in reversed(list(table.items()))}
        )

    def get(self, *names: str) -> Any:
        """The value under these keys; None where a key is missing or a parent is not a table."""
        value: Any = self.table
        for name in names:
            value = value.get(name) if isinstance(value, Mapping) else None
        return value

    def table_at(self, *names: str) -> Table:
        """The table under these keys; empty where there is none."""
        value = self.get(*names)
        return value if isinstance(value, Mapping) else {}

    def list_at(self, *names: str) -> list[Any]:
        """The list under these keys; empty where there is none."""
        value = self.get(*names)
        return value if isinstance(value, list) else []

    @property
    def name(self) -> str:
        """The project's name, normalised; empty where it has none."""
        value = self.get("project", "name")
        return canonicalize_name(value) if isinstance(value, str) else ""

    @property
    def dynamic(self) -> frozenset[str]:
        """The fields in `project.dynamic`, whose values only a build determines."""
        return frozenset(name for name in self.list_at("project", "dynamic") if isinstance(name, str))


@lazy_dataclass
class Workspace:
    """
    The current manifests that one lock is made from.

    `members` are the workspace's projects, including the root if it is one. `neighbours` are projects outside the
    workspace that the lock depends on by path. `settings` is the file with uv's options, at the keys `options` in it.
    """

    root: ProjectManifest
    members: tuple[ProjectManifest, ...]
    neighbours: tuple[ProjectManifest, ...] = ()
    settings: ProjectManifest
    options: tuple[str, ...] = ("tool", "uv")

    @property
    def folders(self) -> Mapping[str, str]:
        """The members' folders by their names."""
        return {member.name: member.folder for member in self.members if member.name}

    def setting(self, name: str) -> Any:
        """One of uv's options; None where it is not set."""
        return self.settings.get(*self.options, name)


@lazy_dataclass
class DeclaredRequirements:
    """A manifest's requirements by scope. The kinds of scope in `unknown` are dynamic, known only after a build."""

    scopes: Mapping[RequirementScope, tuple[ManifestRequirement, ...]]
    unknown: frozenset[str] = frozenset()


def declared_requirements(manifest: ProjectManifest, workspace: Workspace) -> DeclaredRequirements:
    """The requirements of a project, its extras and its groups, sources applied and groups flattened."""
    scopes: dict[RequirementScope, tuple[ManifestRequirement, ...]] = {}
    unknown: frozenset[str] = frozenset()
    if manifest.dynamic & {"dependencies", "optional-dependencies"}:
        unknown = frozenset({"", "extra"})  # a build determines both
    elif "project" in manifest.table:
        scopes[RequirementScope()] = _listed(manifest, ("project", "dependencies"))
        for name in manifest.table_at("project", "optional-dependencies"):
            scopes[RequirementScope("extra", canonicalize_name(name))] = _listed(
                manifest, ("project", "optional-dependencies", name)
            )
    scopes |= _groups(manifest)
    return DeclaredRequirements(
        scopes={
            scope: tuple(
                sourced for requirement in listed for sourced in with_sources(requirement, scope, manifest, workspace)
            )
            for scope, listed in scopes.items()
        },
        unknown=unknown,
    )


def _listed(manifest: ProjectManifest, path: tuple[str, ...]) -> tuple[ManifestRequirement, ...]:
    requirements = (
        parse_requirement(text, ManifestPlace(manifest.file, (*path, position)), manifest.folder)
        for position, text in enumerate(manifest.list_at(*path))
    )
    return tuple(requirement for requirement in requirements if requirement is not None)


def _groups(manifest: ProjectManifest) -> Mapping[RequirementScope, tuple[ManifestRequirement, ...]]:
    groups = {
        RequirementScope("group", name): requirements for name, requirements in _Groups(manifest).flattened().items()
    }
    if manifest.get("tool", "uv", "dev-dependencies") is not None:
        older = _listed(manifest, ("tool", "uv", "dev-dependencies"))
        groups[RequirementScope("group", "dev")] = (*groups.get(RequirementScope("group", "dev"), ()), *older)
    return groups


class _Groups:
    """
    The dependency groups of a manifest, flattened (PEP 735).

    Each group is flattened once, after the groups that it includes, without recursion and without duplicates.
    """

    def __init__(self, manifest: ProjectManifest) -> None:
        self._manifest = manifest
        self._keys = {canonicalize_name(key): key for key in manifest.table_at("dependency-groups")}
        self._pythons = _group_pythons(manifest)
        self._flat: dict[str, tuple[ManifestRequirement, ...]] = {}

    def flattened(self) -> Mapping[str, tuple[ManifestRequirement, ...]]:
        """The requirements of each group. A cycle of includes is cut, as uv reports it itself."""
        for group in self._keys:
            self._flatten(group)
        return {group: self._flat[group] for group in self._keys}

    def _flatten(self, group: str) -> None:
        begun, waiting = set(self._flat), [group]
        while waiting:
            name = waiting[-1]
            missing = [] if name in begun else [other for _, other in self._included(name) if other not in begun]
            begun.add(name)
            if missing:
                waiting += missing
                continue
            waiting.pop()
            if name not in self._flat:
                self._flat[name] = self._with_included(name)

    def _included(self, group: str) -> Iterator[tuple[int, str]]:
        for position, entry in enumerate(self._manifest.list_at("dependency-groups", self._keys[group])):
            included = entry.get("include-group") if isinstance(entry, Mapping) else None
            if isinstance(included, str) and canonicalize_name(included) in self._keys:
                yield position, canonicalize_name(included)

    def _with_included(self, group: str) -> tuple[ManifestRequirement, ...]:
        path = ("dependency-groups", self._keys[group])
        requirements = {
            (requirement.place, requirement.marker): requirement for requirement in _listed(self._manifest, path)
        }
        for position, included in self._included(group):
            via = ManifestPlace(self._manifest.file, (*path, position))
            for requirement in self._flat.get(included, ()):
                requirements.setdefault((requirement.place, requirement.marker), replace(requirement, via=via))
        python = self._pythons.get(group, "")
        return tuple(_with_marker(requirement, python) for requirement in requirements.values())


def _group_pythons(manifest: ProjectManifest) -> Mapping[str, str]:
    """The marker of each group that has a `requires-python` in `tool.uv.dependency-groups`."""
    markers: dict[str, str] = {}
    for name, table in manifest.table_at("tool", "uv", "dependency-groups").items():
        python = table.get("requires-python") if isinstance(table, Mapping) else None
        if isinstance(python, str):
            parts = (_python_marker(part.strip()) for part in python.split(",") if part.strip())
            markers.setdefault(canonicalize_name(name), " and ".join(parts))
    return markers


def _python_marker(part: str) -> str:
    sign = part.rstrip("0123456789.*abrcdevpost+ ")
    return f"python_full_version {sign} '{part[len(sign) :].strip()}'"


def _with_marker(requirement: ManifestRequirement, marker: str) -> ManifestRequirement:
    if not marker or requirement.opaque:
        return requirement
    if not readable(marker):
        return replace(requirement, opaque=True)
    return replace(requirement, marker=f"({requirement.marker}) and ({marker})" if requirement.marker else marker)


def with_sources(
    requirement: ManifestRequirement, scope: RequirementScope, manifest: ProjectManifest, workspace: Workspace
) -> Iterator[ManifestRequirement]:
    """Apply `tool.uv.sources` to a requirement: one for each source that applies, and one for where none does."""
    entry = _sources(requirement.name, manifest, workspace)
    if entry is None or requirement.opaque:
        yield requirement
        return
    owner, _, table = entry
    sources = table if isinstance(table, list) else [table]
    fitting = [source for source in sources if isinstance(source, Mapping) and _applies(source, scope)]
    markers = [source.get("marker") or "" for source in fitting]
    if not all(isinstance(marker, str) and readable(marker) for marker in markers):
        yield replace(requirement, opaque=True)
        return
    for source, marker in zip(fitting, markers, strict=True):
        yield replace(_with_marker(requirement, marker), origin=_origin(source, requirement.name, owner, workspace))
    if all(markers):
        yield replace(requirement, unless=tuple(markers))


def source_place(name: str, manifest: ProjectManifest, workspace: Workspace) -> ManifestPlace | None:
    """The place of the `tool.uv.sources` entry that applies to a name in this manifest, or None."""
    entry = _sources(name, manifest, workspace)
    if entry is None:
        return None
    owner, key, _ = entry
    return ManifestPlace(owner.file, ("tool", "uv", "sources", key))


def _sources(name: str, manifest: ProjectManifest, workspace: Workspace) -> tuple[ProjectManifest, str, Any] | None:
    """The manifest with the sources of a name, their key and value; a member's own take precedence over the root's."""
    inside = manifest in workspace.members
    for owner in (manifest, *((workspace.root,) if inside else ())):
        if name in owner.sources:
            return owner, *owner.sources[name]
    return None


def _applies(source: Table, scope: RequirementScope) -> bool:
    """Whether a source applies to a scope; it may be limited to one extra or group."""
    for kind in ("extra", "group"):
        only = source.get(kind)
        if isinstance(only, str) and scope != RequirementScope(kind, canonicalize_name(only)):
            return False
    return True


def _origin(source: Table, name: str, owner: ProjectManifest, workspace: Workspace) -> Origin:
    texts = {key: value for key, value in source.items() if isinstance(value, str)}
    if source.get("workspace") is True:
        folder = workspace.folders.get(name)
        return UNKNOWN if folder is None else Origin("path", folder, _install_mode(source, ""))
    if "git" in texts:
        return git_origin(texts["git"], texts, texts.get("subdirectory", ""))
    if "url" in texts:
        return Origin("url", normalized_url(texts["url"]), texts.get("subdirectory", ""))
    if "path" in texts:
        return Origin("path", place_of(texts["path"], owner.folder), _install_mode(source, COPIED))
    if "index" in texts:
        place = index_place(texts["index"], owner, workspace)
        return UNKNOWN if place is None else Origin("index", place[1])
    return ANYWHERE


def _install_mode(source: Table, default: str) -> str:
    match source.get("editable"):
        case True:
            return EDITABLE
        case False:
            return COPIED
    return default


def index_place(name: str, owner: ProjectManifest, workspace: Workspace) -> tuple[ManifestPlace, str] | None:
    """The place and the address of the index with this name; None where no manifest declares it."""
    mine = (owner, ("tool", "uv")) if owner is not workspace.settings else (workspace.settings, workspace.options)
    for manifest, keys in (mine, (workspace.settings, workspace.options), (workspace.root, ("tool", "uv"))):
        for position, index in enumerate(manifest.list_at(*keys, "index")):
            if isinstance(index, Mapping) and index.get("name") == name and isinstance(index.get("url"), str):
                place = ManifestPlace(manifest.file, (*keys, "index", position, "url"))
                return place, address_of(index["url"], manifest.folder)
    return None
