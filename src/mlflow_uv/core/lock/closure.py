"""Computes the packages that a lock installs on a target, each with its shortest dependency path."""

from collections import deque
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from ...command.errors import BadInput
from ...payloads.messages.lazy_dataclass import lazy_dataclass
from .lockfile import Dependency, Lockfile, NotALock, Package, PackageSource
from .package_names import canonicalize_name
from .selection import Selection
from .targets import Markers

_Key = tuple[str, str | None, PackageSource]


@lazy_dataclass
class Installed:
    """A package to install, and the shortest path of names from a selected package to it (both included)."""

    package: Package
    via: tuple[str, ...]


class Roots(NamedTuple):
    """The selected packages of the lock, and the names of the selected extras and groups, normalised (PEP 503)."""

    packages: tuple[Package, ...]
    extras: frozenset[str]
    groups: frozenset[str]


class _Node(NamedTuple):
    """A package, or one extra of it, in the dependency graph; `via` is the path to it."""

    package: Package
    extra: str | None
    via: tuple[str, ...]


def selected_roots(lock: Lockfile, selection: Selection, *, name: str | None) -> Roots:
    """
    Resolve a selection in a lock, as `uv sync` resolves `--package`, `--extra` and `--group`.

    `name` is the project's; None is a virtual root, which selects all its members. Raises BadInput for a package, extra
    or group that is not in the lock.
    """
    wanted = selection.package or name
    if wanted is not None:
        packages = _local_packages(lock, canonicalize_name(wanted))
        if not packages:
            raise BadInput(what="the selection is not in the lock", why=f"it has no local package `{wanted}`")
    else:
        members = lock.manifest.get("members", ())
        packages = tuple(package for member in members for package in _local_packages(lock, member)) or _at_root(lock)
    roots = Roots(
        packages,
        frozenset(map(canonicalize_name, selection.extras)),
        frozenset(map(canonicalize_name, selection.groups)),
    )
    _refuse_unknown(lock, roots)
    return roots


def closure(lock: Lockfile, roots: Roots, markers: Markers) -> tuple[Installed, ...]:
    """
    Return every package that the roots need where these markers hold, the roots included, in the order of the lock.

    A package is returned once, however many of its extras are requested. Raises BadInput for extras and groups that the
    lock's `conflicts` exclude from each other, NotALock for a dependency on a package that is not in the lock.
    """
    graph = _Graph(lock, markers)
    start, active = graph.start(roots, _synthetic_extras(lock, roots))
    if lock.conflicts:
        _refuse_conflicts(lock, active)
        # An extra that a dependency activates (`wine[gpu]`) is active everywhere, also for edges visited before it:
        # the first traversal collects these extras, the second one the packages. uv does the same.
        activated = set(active)
        deque(graph.reachable(start, frozenset(), activated), maxlen=0)
        active = frozenset(activated)
        _refuse_conflicts(lock, active)
    installed: dict[int, Installed] = {}
    for node in graph.reachable(start, active):
        installed.setdefault(node.package.position, Installed(package=node.package, via=node.via))
    return tuple(installed[position] for position in sorted(installed))


class _Graph:
    """The edges whose markers hold; traversed breadth first, so that the first path to a package is a shortest one."""

    def __init__(self, lock: Lockfile, markers: Markers) -> None:
        self._markers = markers
        self._by_name = lock.by_name
        self._by_key: Mapping[_Key, Package] = {
            (package.name, package.version, package.source): package for package in lock.packages
        }
        self._groups = _manifest_groups(lock)

    def start(self, roots: Roots, active: frozenset[str]) -> tuple[tuple[_Node, ...], frozenset[str]]:
        """
        Return the nodes of the roots, their extras and their groups, and the extras that are active with them.

        Markers of groups see the extras that the selection and the groups activate, but none that is activated later,
        as in uv, which may then install two versions of one name.
        """
        nodes = [
            _Node(root, extra, (root.name,))
            for root in roots.packages
            for extra in (None, *sorted(roots.extras & root.extras.keys()))
        ]
        for root in roots.packages:
            for group in sorted(roots.groups & root.groups.keys()):
                for edge in root.groups[group]:
                    activated = active.union(_synthetic_extra(edge.name, extra) for extra in edge.extras)
                    if self._markers.hold(edge.marker, activated):
                        active = activated
                        nodes += self._nodes(self._target_of(edge), edge, (root.name,))
        for group in sorted(roots.groups & self._groups.keys()):
            for edge in self._groups[group]:
                if self._markers.hold(edge.marker):
                    nodes += self._nodes(self._group_target_of(edge), edge, ())
        return tuple(nodes), active

    def reachable(
        self, start: tuple[_Node, ...], active: frozenset[str], growing: set[str] | None = None
    ) -> Iterator[_Node]:
        """
        Yield every package and every extra that is reachable from the start, the start included.

        With `growing` that set is what is active, and each extra that a visited edge activates is added to it.
        """
        queue = deque(start)
        seen = {(node.package.position, node.extra) for node in start}
        while queue:
            node = queue.popleft()
            yield node
            package = node.package
            for edge in package.dependencies if node.extra is None else package.extras.get(node.extra, ()):
                activated = {_synthetic_extra(edge.name, extra) for extra in edge.extras} if growing is not None else ()
                if not self._markers.hold(
                    edge.marker, active if growing is None else frozenset((*growing, *activated))
                ):
                    continue
                if growing is not None:
                    growing.update(activated)
                for reached in self._nodes(self._target_of(edge), edge, node.via):
                    if (reached.package.position, reached.extra) not in seen:
                        seen.add((reached.package.position, reached.extra))
                        queue.append(reached)

    def _nodes(self, package: Package, edge: Dependency, via: tuple[str, ...]) -> list[_Node]:
        via = via if via[-1:] == (package.name,) else (*via, package.name)
        return [_Node(package, extra, via) for extra in (None, *edge.extras)]

    def _target_of(self, edge: Dependency) -> Package:
        """The package of an edge, which states version and source where its name is locked more than once."""
        candidates = self._by_name.get(edge.name, ())
        if edge.source is not None:
            exact = self._by_key.get((edge.name, edge.version, edge.source))
            candidates = (exact,) if exact is not None else ()
        if len(candidates) != 1:
            raise NotALock(f"a dependency on `{edge.name}` leads to {len(candidates)} packages instead of one")
        return candidates[0]

    def _group_target_of(self, edge: Dependency) -> Package:
        """The package of an edge of a virtual root's group, which states no version: `resolution-markers` decide."""
        candidates = [
            package
            for package in self._by_name.get(edge.name, ())
            if not package.resolution_markers or any(map(self._markers.hold, package.resolution_markers))
        ]
        if len(candidates) != 1:
            raise NotALock(f"a group's dependency on `{edge.name}` leads to {len(candidates)} packages instead of one")
        return candidates[0]


def _manifest_groups(lock: Lockfile) -> Mapping[str, tuple[Dependency, ...]]:
    """The groups of a virtual root. Only here does uv write `extras` instead of `extra`."""
    return {
        group: tuple(
            Dependency(entry["name"], None, None, tuple(entry.get("extras", ())), entry.get("marker", ""))
            for entry in listed
        )
        for group, listed in lock.manifest.get("dependency-groups", {}).items()
    }


def _synthetic_extras(lock: Lockfile, roots: Roots) -> frozenset[str]:
    """The synthetic extras by which uv encodes, in the markers of a lock with `conflicts`, what is selected."""
    if not lock.conflicts:
        return frozenset()
    return frozenset(
        name
        for root in roots.packages
        for name in (
            f"project-{len(root.name)}-{root.name}",
            *(_synthetic_extra(root.name, extra) for extra in roots.extras & root.extras.keys()),
            *(f"group-{len(root.name)}-{root.name}-{group}" for group in roots.groups & root.groups.keys()),
        )
    )


def _refuse_conflicts(lock: Lockfile, active: frozenset[str]) -> None:
    for items in lock.conflicts:
        selected = [description for description, name in map(_conflict_item, items) if name in active]
        if len(selected) > 1:
            why = "`conflicts` in [tool.uv] excludes them from each other"
            raise BadInput(
                what=f"{' and '.join(selected)} cannot be served together", why=why, fix="select one of them"
            )


def _conflict_item(item: Any) -> tuple[str, str]:
    """One item of `conflicts`: its description for messages, and its synthetic extra in markers. Raises NotALock."""
    if not isinstance(item, dict) or not all(isinstance(value, str) for value in item.values()):
        raise NotALock("its `conflicts` are malformed")
    package = item.get("package", "")
    if "extra" in item:
        return f"`{package}[{item['extra']}]`", _synthetic_extra(package, item["extra"])
    if "group" in item:
        return f"group `{item['group']}` of `{package}`", f"group-{len(package)}-{package}-{item['group']}"
    return f"`{package}`", f"project-{len(package)}-{package}"


def _synthetic_extra(package: str, extra: str) -> str:
    return f"extra-{len(package)}-{package}-{extra}"


def _local_packages(lock: Lockfile, name: str) -> tuple[Package, ...]:
    return tuple(package for package in lock.packages if package.name == name and package.source.kind.local)


def _at_root(lock: Lockfile) -> tuple[Package, ...]:
    root = lock.local(".")
    return () if root is None else (root,)


def _refuse_unknown(lock: Lockfile, roots: Roots) -> None:
    """Raise BadInput for an extra or group that no root has; empty ones are listed in the metadata alone."""
    extras = {
        extra for root in roots.packages for extra in (*root.extras, *_names(root.metadata.get("provides-extras")))
    }
    groups = {
        group for root in roots.packages for group in (*root.groups, *_names(root.metadata.get("requires-dev")))
    } | _manifest_groups(lock).keys()
    for kind, unknown in (("extra", roots.extras - extras), ("group", roots.groups - groups)):
        if unknown:
            missing = ", ".join(f"`{name}`" for name in sorted(unknown))
            known = ", ".join(sorted(extras if kind == "extra" else groups)) or "none"
            raise BadInput(
                what="the selection is not in the lock", why=f"{kind} {missing} is unknown, known are {known}"
            )


def _names(value: Any) -> Iterator[str]:
    return (name for name in value if isinstance(name, str)) if isinstance(value, (list, dict)) else iter(())
