"""What do the manifests ask for, in the terms of the lock?"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from .causes import ManifestPlace
from .equivalence import readable
from .requirement import (
    ANYWHERE,
    COPIED,
    EDITABLE,
    UNKNOWN,
    ManifestRequirement,
    Origin,
    RequirementScope,
    address_of,
    git,
    normal,
    place_of,
    web,
    written,
)

Table = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True, slots=True)
class ProjectManifest:
    """A pyproject.toml or uv.toml: its name as seen from the lock's folder, its own folder (absolute), its content."""

    file: str
    folder: str
    table: Table = field(repr=False)
    sources: Mapping[str, tuple[str, Any]] = field(init=False, repr=False, compare=False)
    """The keys and values of `tool.uv.sources` by the normal names of packages."""

    def __post_init__(self) -> None:
        """Read the sources once: every requirement asks for its own."""
        table = self.table_at("tool", "uv", "sources")
        object.__setattr__(self, "sources", {normal(key): (key, value) for key, value in reversed(list(table.items()))})

    def get(self, *names: str) -> Any:
        """What stands under these keys; None where nothing does, or something on the way is no table."""
        found: Any = self.table
        for name in names:
            found = found.get(name) if isinstance(found, Mapping) else None
        return found

    def table_at(self, *names: str) -> Table:
        """The table under these keys; empty where there is none."""
        found = self.get(*names)
        return found if isinstance(found, Mapping) else {}

    def list_at(self, *names: str) -> list[Any]:
        """The list under these keys; empty where there is none."""
        found = self.get(*names)
        return found if isinstance(found, list) else []

    @property
    def name(self) -> str:
        """The project's name, normalised; empty where it has none."""
        found = self.get("project", "name")
        return normal(found) if isinstance(found, str) else ""

    @property
    def dynamic(self) -> frozenset[str]:
        """What of `[project]` only a build can tell."""
        return frozenset(one for one in self.list_at("project", "dynamic") if isinstance(one, str))


@dataclass(frozen=True, kw_only=True, slots=True)
class Workspace:
    """
    Everything that one lock is made from, as it is now.

    `members` are all projects, the root among them if it is one; `neighbours` projects outside the workspace that the
    lock took requirements from. `settings` is the file that has uv's options, and where in it they stand.
    """

    root: ProjectManifest
    members: tuple[ProjectManifest, ...]
    neighbours: tuple[ProjectManifest, ...] = ()
    settings: ProjectManifest
    options: tuple[str, ...] = ("tool", "uv")

    @property
    def folders(self) -> Mapping[str, str]:
        """The members' folders by their names."""
        return {one.name: one.folder for one in self.members if one.name}

    def setting(self, name: str) -> Any:
        """One of uv's options; None where it is not set."""
        return self.settings.get(*self.options, name)


@dataclass(frozen=True, kw_only=True, slots=True)
class DeclaredRequirements:
    """What one manifest wants, by who wants it. A scope in `unknown` cannot be told without a build."""

    scopes: Mapping[RequirementScope, tuple[ManifestRequirement, ...]]
    unknown: frozenset[str] = frozenset()


def declared(manifest: ProjectManifest, workspace: Workspace) -> DeclaredRequirements:
    """The requirements of a project, its extras and its groups, sources applied and groups flattened."""
    scopes: dict[RequirementScope, tuple[ManifestRequirement, ...]] = {}
    unknown: frozenset[str] = frozenset()
    if manifest.dynamic & {"dependencies", "optional-dependencies"}:
        unknown = frozenset({"", "extra"})  # a build tells all of it at once
    elif "project" in manifest.table:
        scopes[RequirementScope()] = _listed(manifest, ("project", "dependencies"))
        for name in manifest.table_at("project", "optional-dependencies"):
            scopes[RequirementScope("extra", normal(name))] = _listed(
                manifest, ("project", "optional-dependencies", name)
            )
    scopes |= _groups(manifest)
    return DeclaredRequirements(
        scopes={
            scope: tuple(found for one in listed for found in with_sources(one, scope, manifest, workspace))
            for scope, listed in scopes.items()
        },
        unknown=unknown,
    )


def _listed(manifest: ProjectManifest, path: tuple[str, ...]) -> tuple[ManifestRequirement, ...]:
    found = (
        written(text, ManifestPlace(manifest.file, (*path, position)), manifest.folder)
        for position, text in enumerate(manifest.list_at(*path))
    )
    return tuple(one for one in found if one is not None)


def _groups(manifest: ProjectManifest) -> Mapping[RequirementScope, tuple[ManifestRequirement, ...]]:
    found = {RequirementScope("group", name): wanted for name, wanted in _Groups(manifest).flat().items()}
    if manifest.get("tool", "uv", "dev-dependencies") is not None:
        older = _listed(manifest, ("tool", "uv", "dev-dependencies"))
        found[RequirementScope("group", "dev")] = (*found.get(RequirementScope("group", "dev"), ()), *older)
    return found


class _Groups:
    """
    The dependency groups of a manifest, each with those that it includes.

    A group is flattened once, after those it includes and whatever includes it; what several paths lead to counts once.
    """

    def __init__(self, manifest: ProjectManifest) -> None:
        self._manifest = manifest
        self._keys = {normal(key): key for key in manifest.table_at("dependency-groups")}
        self._pythons = _group_pythons(manifest)
        self._flat: dict[str, tuple[ManifestRequirement, ...]] = {}

    def flat(self) -> Mapping[str, tuple[ManifestRequirement, ...]]:
        """What each group wants; uv refuses a circle, and we merely end there."""
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
                self._flat[name] = self._joined(name)

    def _included(self, group: str) -> Iterator[tuple[int, str]]:
        for position, entry in enumerate(self._manifest.list_at("dependency-groups", self._keys[group])):
            included = entry.get("include-group") if isinstance(entry, Mapping) else None
            if isinstance(included, str) and normal(included) in self._keys:
                yield position, normal(included)

    def _joined(self, group: str) -> tuple[ManifestRequirement, ...]:
        path = ("dependency-groups", self._keys[group])
        found = {(one.place, one.marker): one for one in _listed(self._manifest, path)}
        for position, included in self._included(group):
            via = ManifestPlace(self._manifest.file, (*path, position))
            for one in self._flat.get(included, ()):
                found.setdefault((one.place, one.marker), replace(one, via=via))
        python = self._pythons.get(group, "")
        return tuple(_and(one, python) for one in found.values())


def _group_pythons(manifest: ProjectManifest) -> Mapping[str, str]:
    """The marker of each group that is for some Pythons alone."""
    found: dict[str, str] = {}
    for name, table in manifest.table_at("tool", "uv", "dependency-groups").items():
        wanted = table.get("requires-python") if isinstance(table, Mapping) else None
        if isinstance(wanted, str):
            parts = (_python_marker(part.strip()) for part in wanted.split(",") if part.strip())
            found.setdefault(normal(name), " and ".join(parts))
    return found


def _python_marker(part: str) -> str:
    sign = part.rstrip("0123456789.*abrcdevpost+ ")
    return f"python_full_version {sign} '{part[len(sign) :].strip()}'"


def _and(one: ManifestRequirement, marker: str) -> ManifestRequirement:
    if not marker or one.opaque:
        return one
    if not readable(marker):
        return replace(one, opaque=True)
    return replace(one, marker=f"({one.marker}) and ({marker})" if one.marker else marker)


def with_sources(
    one: ManifestRequirement, scope: RequirementScope, manifest: ProjectManifest, workspace: Workspace
) -> Iterator[ManifestRequirement]:
    """A requirement as `tool.uv.sources` directs it: once for each source, and for where none applies."""
    found = _sources(one.name, manifest, workspace)
    if found is None or one.opaque:
        yield one
        return
    owner, _, table = found
    sources = table if isinstance(table, list) else [table]
    fitting = [source for source in sources if isinstance(source, Mapping) and _applies(source, scope)]
    markers = [source.get("marker") or "" for source in fitting]
    if not all(isinstance(marker, str) and readable(marker) for marker in markers):
        yield replace(one, opaque=True)
        return
    for source, marker in zip(fitting, markers, strict=True):
        yield replace(_and(one, marker), origin=_origin(source, one.name, owner, workspace))
    if all(markers):
        yield replace(one, unless=tuple(markers))


def source_place(name: str, manifest: ProjectManifest, workspace: Workspace) -> ManifestPlace | None:
    """Where the sources of a name stand that this manifest goes by, if any do."""
    found = _sources(name, manifest, workspace)
    if found is None:
        return None
    owner, key, _ = found
    return ManifestPlace(owner.file, ("tool", "uv", "sources", key))


def _sources(name: str, manifest: ProjectManifest, workspace: Workspace) -> tuple[ProjectManifest, str, Any] | None:
    """The manifest that has the sources of a name, their key and value; a project's own go before its root's."""
    inside = manifest in workspace.members
    for owner in (manifest, *((workspace.root,) if inside else ())):
        if name in owner.sources:
            return owner, *owner.sources[name]
    return None


def _applies(source: Table, scope: RequirementScope) -> bool:
    """A source may be for one extra or one group alone."""
    for kind in ("extra", "group"):
        only = source.get(kind)
        if isinstance(only, str) and scope != RequirementScope(kind, normal(only)):
            return False
    return True


def _origin(source: Table, name: str, owner: ProjectManifest, workspace: Workspace) -> Origin:
    texts = {key: value for key, value in source.items() if isinstance(value, str)}
    if source.get("workspace") is True:
        folder = workspace.folders.get(name)
        return UNKNOWN if folder is None else Origin("path", folder, _installed(source, ""))
    if "git" in texts:
        return git(texts["git"], texts, texts.get("subdirectory", ""))
    if "url" in texts:
        return Origin("url", web(texts["url"]), texts.get("subdirectory", ""))
    if "path" in texts:
        return Origin("path", place_of(texts["path"], owner.folder), _installed(source, COPIED))
    if "index" in texts:
        place = index_place(texts["index"], owner, workspace)
        return UNKNOWN if place is None else Origin("index", place[1])
    return ANYWHERE


def _installed(source: Table, unsaid: str) -> str:
    match source.get("editable"):
        case True:
            return EDITABLE
        case False:
            return COPIED
    return unsaid


def index_place(name: str, owner: ProjectManifest, workspace: Workspace) -> tuple[ManifestPlace, str] | None:
    """The index of that name: where its address stands, and the address; None where no manifest has it."""
    mine = (owner, ("tool", "uv")) if owner is not workspace.settings else (workspace.settings, workspace.options)
    for manifest, keys in (mine, (workspace.settings, workspace.options), (workspace.root, ("tool", "uv"))):
        for position, index in enumerate(manifest.list_at(*keys, "index")):
            if isinstance(index, Mapping) and index.get("name") == name and isinstance(index.get("url"), str):
                place = ManifestPlace(manifest.file, (*keys, "index", position, "url"))
                return place, address_of(index["url"], manifest.folder)
    return None
