"""Lists the packages that a selection needs on any platform, and the dependency path to each package of a lock."""

import re
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from itertools import chain

from ...command.lazy_pattern import lazy_pattern
from .closure import Installed, Roots, closure
from .lockfile import Dependency, Lockfile, Package
from .markers import holds
from .targets import Markers

_SIGN = r" *(?:===|==|~=|!=|<=|>=|<|>|not in|in) *"
_TEXT = r"(?:'[^']*'|\"[^\"]*\")"
_COMPARISON = lazy_pattern(rf"extra *(?P<sign>==|!=) *(?P<conflict>{_TEXT})|\w+{_SIGN}{_TEXT}|{_TEXT}{_SIGN}\w+")
_TRUE, _FALSE = "os_name != ''", "os_name == ''"


class AnyPlatformMarkers(Markers):
    """Markers without a target: a marker holds if it can hold on some platform with some Python."""

    def __init__(self) -> None:
        """Create it without a target."""

    def hold(self, marker: str, active: frozenset[str] = frozenset()) -> bool:
        """See Markers. Only the extras by which uv encodes `conflicts` are evaluated."""
        return _possible(marker, active)


@lru_cache(maxsize=4096)
def _possible(marker: str, active: frozenset[str]) -> bool:
    """Take every comparison with an unknown value as true, which is safe because markers have no negation."""
    if "extra" not in marker:
        return True

    def replacement(match: re.Match[str]) -> str:
        possible = match["sign"] is None or (match["conflict"][1:-1] in active) == (match["sign"] == "==")
        return _TRUE if possible else _FALSE

    try:
        return holds(_COMPARISON.sub(replacement, marker), {})
    except ValueError:
        return True


def served_packages(lock: Lockfile, roots: Roots) -> Iterator[Installed]:
    """Yield what each root needs on some platform, without that root itself. Raises BadInput, NotALock."""
    root_sets: list[tuple[Package, ...]] = [(root,) for root in roots.packages]
    for root_packages in root_sets or [()]:
        for installed in closure(lock, roots._replace(packages=root_packages), AnyPlatformMarkers()):
            if installed.package not in root_packages:
                yield installed


def dependency_paths(lock: Lockfile) -> Mapping[int, tuple[str, ...]]:
    """
    Return the shortest dependency path to each package, by its position, without the package itself.

    A path is a tuple of names and begins with a member of the workspace or `group NAME`. All extras and groups on all
    platforms are followed; a package that nothing needs has no path.
    """
    members = lock.manifest.get("members", ())
    paths: dict[int, tuple[str, ...]] = {}
    queue: deque[tuple[Package, tuple[str, ...]]] = deque()
    by_name = lock.by_name

    def follow(edges: Iterable[Dependency], path: tuple[str, ...]) -> None:
        for edge in edges:
            for package in by_name.get(edge.name, ()):
                exact = edge.version in {None, package.version} and edge.source in {None, package.source}
                if exact and package.position not in paths:
                    paths[package.position] = path
                    queue.append((package, (*path, package.name)))

    for package in lock.packages:
        if package.source.kind.local and (package.name in members or package.source.address == "."):
            paths[package.position] = ()
            queue.append((package, (package.name,)))
    for group, entries in lock.manifest.get("dependency-groups", {}).items():
        follow((Dependency(entry["name"], None, None, (), "") for entry in entries), (f"group {group}",))
    while queue:
        package, path = queue.popleft()
        follow(chain(package.dependencies, *package.extras.values(), *package.groups.values()), path)
    return paths
