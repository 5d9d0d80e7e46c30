"""Which packages does a lock install on a target, and which dependency pulls each of them in?"""

from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from packaging.utils import canonicalize_name

from ...command.errors import BadInput
from .lockfile import Dependency, Lockfile, NotALock, Package, PackageSource
from .selection import Selection
from .targets import Markers

_Key = tuple[str, str | None, PackageSource]


@dataclass(frozen=True, kw_only=True, slots=True)
class Installed:
    """A package that is installed, and the shortest way to it: names, from what was selected to the package itself."""

    package: Package
    via: tuple[str, ...]


class Roots(NamedTuple):
    """What was selected: packages of the lock, and the names of their extras and groups, normalised."""

    packages: tuple[Package, ...]
    extras: frozenset[str]
    groups: frozenset[str]


class _Stop(NamedTuple):
    """A package, or one extra of it, that is still to be walked on from."""

    package: Package
    extra: str | None
    via: tuple[str, ...]


def selected_roots(lock: Lockfile, selection: Selection, *, name: str | None) -> Roots:
    """
    What a selection means in this lock, as `uv sync` reads `--package`, `--extra` and `--group`.

    `name` is the project's; a virtual root has none and then stands for all its members. Raises BadInput for what the
    lock does not have.
    """
    wanted = selection.package or name
    if wanted is not None:
        packages = _local(lock, canonicalize_name(wanted))
        if not packages:
            raise BadInput(what="the selection is not in the lock", why=f"it has no local package `{wanted}`")
    else:
        members = lock.manifest.get("members", ())
        packages = tuple(found for member in members for found in _local(lock, member)) or _at_root(lock)
    roots = Roots(
        packages,
        frozenset(map(canonicalize_name, selection.extras)),
        frozenset(map(canonicalize_name, selection.groups)),
    )
    _refuse_unknown(lock, roots)
    return roots


def closure(lock: Lockfile, roots: Roots, markers: Markers) -> tuple[Installed, ...]:
    """
    Every package that the roots need where these markers hold, the roots among them, in the order of the lock.

    Each is there once, however many extras of it are asked for. Raises BadInput for extras and groups that the lock's
    `conflicts` set apart, NotALock for an edge that leads nowhere.
    """
    walk = _Walk(lock, markers)
    start, active = walk.start(roots, _activated(lock, roots))
    if lock.conflicts:
        _refuse_conflicts(lock, active)
        # What a dependency asks for (`wine[gpu]`) is active everywhere, also where the walk came by before it: hence
        # a walk that only collects, and one that counts. uv does the same.
        grown = set(active)
        deque(walk.on(start, frozenset(), grown), maxlen=0)
        active = frozenset(grown)
        _refuse_conflicts(lock, active)
    found: dict[int, Installed] = {}
    for stop in walk.on(start, active):
        found.setdefault(stop.package.position, Installed(package=stop.package, via=stop.via))
    return tuple(found[position] for position in sorted(found))


class _Walk:
    """Breadth first over the edges whose markers hold, so that the first way to a package is a shortest one."""

    def __init__(self, lock: Lockfile, markers: Markers) -> None:
        self._markers = markers
        self._by_name = lock.by_name
        self._by_key: Mapping[_Key, Package] = {(one.name, one.version, one.source): one for one in lock.packages}
        self._groups = _manifest_groups(lock)

    def start(self, roots: Roots, active: frozenset[str]) -> tuple[tuple[_Stop, ...], frozenset[str]]:
        """
        The roots, their extras and what their groups name; and what is active with that.

        The groups see what the selection activates and what they ask for themselves, but nothing that is found later:
        so does uv, which then may install two versions of one name.
        """
        found = [
            _Stop(root, extra, (root.name,))
            for root in roots.packages
            for extra in (None, *sorted(roots.extras & root.extras.keys()))
        ]
        for root in roots.packages:
            for group in sorted(roots.groups & root.groups.keys()):
                for edge in root.groups[group]:
                    asked = active.union(_extra(edge.name, extra) for extra in edge.extras)
                    if self._markers.hold(edge.marker, asked):
                        active = asked
                        found += self._stops(self._led_to(edge), edge, (root.name,))
        for group in sorted(roots.groups & self._groups.keys()):
            for edge in self._groups[group]:
                if self._markers.hold(edge.marker):
                    found += self._stops(self._meant_by(edge), edge, ())
        return tuple(found), active

    def on(self, start: tuple[_Stop, ...], active: frozenset[str], grown: set[str] | None = None) -> Iterator[_Stop]:
        """
        Every package, and every extra of one, that is reached from the start.

        With `grown` that is what is active, and grows by each extra that an edge asks for on the way.
        """
        queue = deque(start)
        seen = {(stop.package.position, stop.extra) for stop in start}
        while queue:
            stop = queue.popleft()
            yield stop
            package = stop.package
            for edge in package.dependencies if stop.extra is None else package.extras.get(stop.extra, ()):
                asked = {_extra(edge.name, extra) for extra in edge.extras} if grown is not None else ()
                if not self._markers.hold(edge.marker, active if grown is None else frozenset((*grown, *asked))):
                    continue
                if grown is not None:
                    grown.update(asked)
                for reached in self._stops(self._led_to(edge), edge, stop.via):
                    if (reached.package.position, reached.extra) not in seen:
                        seen.add((reached.package.position, reached.extra))
                        queue.append(reached)

    def _stops(self, package: Package, edge: Dependency, via: tuple[str, ...]) -> list[_Stop]:
        via = via if via[-1:] == (package.name,) else (*via, package.name)
        return [_Stop(package, extra, via) for extra in (None, *edge.extras)]

    def _led_to(self, edge: Dependency) -> Package:
        """The package of an edge; it names version and source where the name alone is not one package."""
        named = self._by_name.get(edge.name, ())
        if edge.source is not None:
            exact = self._by_key.get((edge.name, edge.version, edge.source))
            named = (exact,) if exact is not None else ()
        if len(named) != 1:
            raise NotALock(f"a dependency on `{edge.name}` leads to {len(named)} packages instead of one")
        return named[0]

    def _meant_by(self, edge: Dependency) -> Package:
        """The package of a root's group; which of several versions is said by where each is meant."""
        named = [
            one
            for one in self._by_name.get(edge.name, ())
            if not one.resolution_markers or any(map(self._markers.hold, one.resolution_markers))
        ]
        if len(named) != 1:
            raise NotALock(f"a group's dependency on `{edge.name}` leads to {len(named)} packages instead of one")
        return named[0]


def _manifest_groups(lock: Lockfile) -> Mapping[str, tuple[Dependency, ...]]:
    """The groups of a root that is no package; here, and only here, uv writes `extras`."""
    return {
        group: tuple(
            Dependency(one["name"], None, None, tuple(one.get("extras", ())), one.get("marker", "")) for one in listed
        )
        for group, listed in lock.manifest.get("dependency-groups", {}).items()
    }


def _activated(lock: Lockfile, roots: Roots) -> frozenset[str]:
    """The extras by which uv writes what the selection activates in `conflicts`."""
    if not lock.conflicts:
        return frozenset()
    return frozenset(
        name
        for root in roots.packages
        for name in (
            f"project-{len(root.name)}-{root.name}",
            *(_extra(root.name, extra) for extra in roots.extras & root.extras.keys()),
            *(f"group-{len(root.name)}-{root.name}-{group}" for group in roots.groups & root.groups.keys()),
        )
    )


def _refuse_conflicts(lock: Lockfile, active: frozenset[str]) -> None:
    for items in lock.conflicts:
        met = [said for said, name in map(_conflicting, items) if name in active]
        if len(met) > 1:
            why = "they are set apart by `conflicts` in [tool.uv]"
            raise BadInput(what=f"{' and '.join(met)} cannot be served together", why=why, fix="select one of them")


def _conflicting(item: Any) -> tuple[str, str]:
    """One item of `conflicts`: as a person says it, and as markers do. Raises NotALock."""
    if not isinstance(item, dict) or not all(isinstance(value, str) for value in item.values()):
        raise NotALock("its `conflicts` are malformed")
    package = item.get("package", "")
    if "extra" in item:
        return f"`{package}[{item['extra']}]`", _extra(package, item["extra"])
    if "group" in item:
        return f"group `{item['group']}` of `{package}`", f"group-{len(package)}-{package}-{item['group']}"
    return f"`{package}`", f"project-{len(package)}-{package}"


def _extra(package: str, extra: str) -> str:
    return f"extra-{len(package)}-{package}-{extra}"


def _local(lock: Lockfile, name: str) -> tuple[Package, ...]:
    return tuple(one for one in lock.packages if one.name == name and one.source.kind.local)


def _at_root(lock: Lockfile) -> tuple[Package, ...]:
    root = lock.local(".")
    return () if root is None else (root,)


def _refuse_unknown(lock: Lockfile, roots: Roots) -> None:
    """An extra or group that no root has; empty ones stand in the metadata alone."""
    extras = {
        extra for root in roots.packages for extra in (*root.extras, *_names(root.metadata.get("provides-extras")))
    }
    groups = {
        group for root in roots.packages for group in (*root.groups, *_names(root.metadata.get("requires-dev")))
    } | _manifest_groups(lock).keys()
    for kind, unknown in (("extra", roots.extras - extras), ("group", roots.groups - groups)):
        if unknown:
            said = ", ".join(f"`{name}`" for name in sorted(unknown))
            names = ", ".join(sorted(extras if kind == "extra" else groups)) or "none"
            raise BadInput(what="the selection is not in the lock", why=f"{kind} {said} is not: known are {names}")


def _names(found: Any) -> Iterator[str]:
    return (one for one in found if isinstance(one, str)) if isinstance(found, (list, dict)) else iter(())
