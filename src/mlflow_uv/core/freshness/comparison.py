"""Compares the requirements of one manifest with those that the lock recorded for it."""

from collections.abc import Iterable, Iterator, Mapping

from packaging.specifiers import SpecifierSet

from ..lock.package_names import canonicalize_name
from .causes import Cause, Difference, ManifestPlace
from .declared_requirements import ProjectManifest, Workspace, declared_requirements, index_place, source_place
from .requirement import Aspect, ManifestRequirement, Origin, RequirementScope, compare_requirements

RequirementsByScope = Mapping[RequirementScope, tuple[ManifestRequirement, ...]]


class Comparison:
    """Compares a manifest's requirements with the recorded ones, by scope and by name."""

    def __init__(self, manifest: ProjectManifest, workspace: Workspace, python: SpecifierSet) -> None:
        self._manifest = manifest
        self._workspace = workspace
        self._python = python
        self._now = declared_requirements(manifest, workspace)

    def run(self, then: RequirementsByScope) -> Iterator[Difference]:
        """Yield every difference; one in an included group is reported once, at the group that declares it."""
        pairs: list[tuple[ManifestRequirement | None, Difference]] = []
        for scope in sorted({*self._now.scopes, *then}):
            unrecorded = scope.kind == "group" and scope not in then and self._manifest in self._workspace.neighbours
            if scope.kind not in self._now.unknown and not unrecorded:
                pairs += self._scope(scope, then.get(scope))
        reported = {
            requirement.place for requirement, _ in pairs if requirement is not None and requirement.via is None
        }
        yield from (
            difference
            for requirement, difference in pairs
            if requirement is None or requirement.via is None or requirement.place not in reported
        )

    def _scope(
        self, scope: RequirementScope, then: tuple[ManifestRequirement, ...] | None
    ) -> Iterator[tuple[ManifestRequirement | None, Difference]]:
        now = self._now.scopes.get(scope)
        if now is None:
            what, why = f"{_scope_text(scope)} was removed", "uv.lock was made with it"
            yield None, Difference(cause=Cause.REQUIREMENT_REMOVED, place=self._key(scope), what=what, why=why)
            return
        if not now and then is None:
            what, why = f"{_scope_text(scope)} is not in uv.lock", "the lock was made without it"
            yield None, Difference(cause=Cause.REQUIREMENT_ADDED, place=self._key(scope), what=what, why=why)
        mine, theirs = _by_name(now), _by_name(then or ())
        for name in (*mine, *(theirs.keys() - mine.keys())):
            sides = mine.get(name, ()), theirs.get(name, ())
            aspect = compare_requirements(*sides, scope, self._python)
            if aspect is not None:
                yield self._name(scope, *sides, aspect)

    def _name(
        self,
        scope: RequirementScope,
        now: tuple[ManifestRequirement, ...],
        then: tuple[ManifestRequirement, ...],
        aspect: Aspect,
    ) -> tuple[ManifestRequirement | None, Difference]:
        before = " and ".join(f"`{requirement.text}`" for requirement in then)
        if not now:
            what, why = f"{before} was in {_scope_text(scope)} when uv.lock was made", "it was removed since"
            return None, Difference(cause=Cause.REQUIREMENT_REMOVED, place=self._key(scope), what=what, why=why)
        requirement = next(
            (requirement for requirement in now if requirement.text not in {other.text for other in then}), now[0]
        )
        place = requirement.via or requirement.place
        if not then:
            what, why = (
                f"`{requirement.text}` in {_scope_text(scope)} is not in uv.lock",
                "the lock was made without it",
            )
            return requirement, Difference(cause=Cause.REQUIREMENT_ADDED, place=place, what=what, why=why)
        if not aspect.rest:
            return requirement, self._source(requirement, now, then)
        what, why = (
            f"`{requirement.text}` in {_scope_text(scope)} is not what uv.lock was made from",
            f"the lock was made from {before}",
        )
        return requirement, Difference(cause=Cause.REQUIREMENT_CHANGED, place=place, what=what, why=why)

    def _source(
        self,
        requirement: ManifestRequirement,
        now: tuple[ManifestRequirement, ...],
        then: tuple[ManifestRequirement, ...],
    ) -> Difference:
        mine, theirs = _unmatched_origin(now, then), _unmatched_origin(then, now)
        place, cause = (
            source_place(requirement.name, self._manifest, self._workspace) or requirement.place,
            Cause.SOURCE,
        )
        if mine.kind == theirs.kind == "index" and mine.address and theirs.address:
            moved = _moved_index(mine, theirs, self._workspace, self._manifest)
            place, cause = (moved, Cause.INDEX) if moved else (place, cause)
        return Difference(
            cause=cause,
            place=place,
            what=f"`{requirement.name}` comes from {mine.description}, which is not what uv.lock was made from",
            why=f"the lock was made with {theirs.description}",
        )

    def _key(self, scope: RequirementScope) -> ManifestPlace:
        """The place of a scope's list of requirements, whether it exists or was removed."""
        if not scope.kind:
            return ManifestPlace(self._manifest.file, ("project", "dependencies"))
        path = ("project", "optional-dependencies") if scope.kind == "extra" else ("dependency-groups",)
        key = next((key for key in self._manifest.table_at(*path) if canonicalize_name(key) == scope.name), scope.name)
        return ManifestPlace(self._manifest.file, (*path, key))


def _unmatched_origin(side: tuple[ManifestRequirement, ...], other: tuple[ManifestRequirement, ...]) -> Origin:
    """The origin on one side that the other does not have."""
    return next((a.origin for a in side if not any(a.origin.agrees(b.origin) for b in other)), side[0].origin)


def _moved_index(mine: Origin, theirs: Origin, workspace: Workspace, manifest: ProjectManifest) -> ManifestPlace | None:
    """The place of an index whose address changed; None where the requirement names another index instead."""
    place: ManifestPlace | None = None
    for owner, keys in ((workspace.settings, workspace.options), (manifest, ("tool", "uv"))):
        for index in owner.list_at(*keys, "index"):
            name = index.get("name") if isinstance(index, Mapping) else None
            known = index_place(name, owner, workspace) if isinstance(name, str) else None
            if known and known[1] == theirs.address:
                return None
            if known and known[1] == mine.address:
                place = place or known[0]
    return place


def _by_name(requirements: Iterable[ManifestRequirement]) -> dict[str, tuple[ManifestRequirement, ...]]:
    by_name: dict[str, list[ManifestRequirement]] = {}
    for requirement in requirements:
        by_name.setdefault(requirement.name, []).append(requirement)
    return {name: tuple(group) for name, group in by_name.items()}


def _scope_text(scope: RequirementScope) -> str:
    return f"{scope.kind} `{scope.name}`" if scope.kind else "[project] dependencies"
