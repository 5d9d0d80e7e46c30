"""What does one project want that it did not want when the lock was made?"""

from collections.abc import Iterable, Iterator, Mapping

from packaging.specifiers import SpecifierSet

from .causes import Cause, Difference, ManifestPlace
from .declared import ProjectManifest, Workspace, declared, index_place, source_place
from .requirement import Aspect, ManifestRequirement, Origin, RequirementScope, differs, normal

By = Mapping[RequirementScope, tuple[ManifestRequirement, ...]]


class Comparison:
    """What one manifest wants, scope by scope and name by name, against what the lock recorded."""

    def __init__(self, manifest: ProjectManifest, workspace: Workspace, python: SpecifierSet) -> None:
        self._manifest = manifest
        self._workspace = workspace
        self._python = python
        self._now = declared(manifest, workspace)

    def run(self, then: By) -> Iterator[Difference]:
        """Every difference; one that a group shares because it includes another is told where the other has it."""
        found: list[tuple[ManifestRequirement | None, Difference]] = []
        for scope in sorted({*self._now.scopes, *then}):
            unrecorded = scope.kind == "group" and scope not in then and self._manifest in self._workspace.neighbours
            if scope.kind not in self._now.unknown and not unrecorded:
                found += self._scope(scope, then.get(scope))
        told = {wanted.place for wanted, _ in found if wanted is not None and wanted.via is None}
        yield from (one for wanted, one in found if wanted is None or wanted.via is None or wanted.place not in told)

    def _scope(
        self, scope: RequirementScope, then: tuple[ManifestRequirement, ...] | None
    ) -> Iterator[tuple[ManifestRequirement | None, Difference]]:
        now = self._now.scopes.get(scope)
        if now is None:
            what, why = f"{_of(scope)} is gone", "uv.lock was made with it"
            yield None, Difference(cause=Cause.REQUIREMENT_REMOVED, place=self._key(scope), what=what, why=why)
            return
        if not now and then is None:
            what, why = f"{_of(scope)} is not in uv.lock", "the lock was made without it"
            yield None, Difference(cause=Cause.REQUIREMENT_ADDED, place=self._key(scope), what=what, why=why)
        mine, theirs = _by_name(now), _by_name(then or ())
        for name in (*mine, *(theirs.keys() - mine.keys())):
            one = mine.get(name, ()), theirs.get(name, ())
            aspect = differs(*one, scope, self._python)
            if aspect is not None:
                yield self._name(scope, *one, aspect)

    def _name(
        self,
        scope: RequirementScope,
        now: tuple[ManifestRequirement, ...],
        then: tuple[ManifestRequirement, ...],
        aspect: Aspect,
    ) -> tuple[ManifestRequirement | None, Difference]:
        before = " and ".join(f"`{one.text}`" for one in then)
        if not now:
            what, why = f"{before} was in {_of(scope)} when uv.lock was made", "it is not any more"
            return None, Difference(cause=Cause.REQUIREMENT_REMOVED, place=self._key(scope), what=what, why=why)
        one = next((one for one in now if one.text not in {other.text for other in then}), now[0])
        place = one.via or one.place
        if not then:
            what, why = f"`{one.text}` in {_of(scope)} is not in uv.lock", "the lock was made without it"
            return one, Difference(cause=Cause.REQUIREMENT_ADDED, place=place, what=what, why=why)
        if not aspect.rest:
            return one, self._source(one, now, then)
        what, why = (
            f"`{one.text}` in {_of(scope)} is not what uv.lock was made from",
            f"the lock was made from {before}",
        )
        return one, Difference(cause=Cause.REQUIREMENT_CHANGED, place=place, what=what, why=why)

    def _source(
        self, one: ManifestRequirement, now: tuple[ManifestRequirement, ...], then: tuple[ManifestRequirement, ...]
    ) -> Difference:
        mine, theirs = _odd(now, then), _odd(then, now)
        place, cause = source_place(one.name, self._manifest, self._workspace) or one.place, Cause.SOURCE
        if mine.kind == theirs.kind == "index" and mine.address and theirs.address:
            moved = _moved_index(mine, theirs, self._workspace, self._manifest)
            place, cause = (moved, Cause.INDEX) if moved else (place, cause)
        return Difference(
            cause=cause,
            place=place,
            what=f"`{one.name}` comes from {mine.said}, which is not what uv.lock was made from",
            why=f"the lock was made with it from {theirs.said}",
        )

    def _key(self, scope: RequirementScope) -> ManifestPlace:
        """Where the list of a scope stands, or stood."""
        if not scope.kind:
            return ManifestPlace(self._manifest.file, ("project", "dependencies"))
        path = ("project", "optional-dependencies") if scope.kind == "extra" else ("dependency-groups",)
        key = next((key for key in self._manifest.table_at(*path) if normal(key) == scope.name), scope.name)
        return ManifestPlace(self._manifest.file, (*path, key))


def _odd(side: tuple[ManifestRequirement, ...], other: tuple[ManifestRequirement, ...]) -> Origin:
    """The origin on one side that the other does not have."""
    return next((a.origin for a in side if not any(a.origin.agrees(b.origin) for b in other)), side[0].origin)


def _moved_index(mine: Origin, theirs: Origin, workspace: Workspace, manifest: ProjectManifest) -> ManifestPlace | None:
    """Where the address of an index stands that was changed; None where another index was named instead."""
    found: ManifestPlace | None = None
    for owner, keys in ((workspace.settings, workspace.options), (manifest, ("tool", "uv"))):
        for index in owner.list_at(*keys, "index"):
            name = index.get("name") if isinstance(index, Mapping) else None
            known = index_place(name, owner, workspace) if isinstance(name, str) else None
            if known and known[1] == theirs.address:
                return None
            if known and known[1] == mine.address:
                found = found or known[0]
    return found


def _by_name(wanted: Iterable[ManifestRequirement]) -> dict[str, tuple[ManifestRequirement, ...]]:
    found: dict[str, list[ManifestRequirement]] = {}
    for one in wanted:
        found.setdefault(one.name, []).append(one)
    return {name: tuple(wants) for name, wants in found.items()}


def _of(scope: RequirementScope) -> str:
    return f"{scope.kind} `{scope.name}`" if scope.kind else "[project] dependencies"
