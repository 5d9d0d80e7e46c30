"""What of a lock is served on any platform, and which dependency brings a package into it?"""

import re
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from itertools import chain

from packaging.markers import InvalidMarker, Marker

from .closure import Installed, Roots, closure
from .lockfile import Dependency, Lockfile, Package
from .targets import Markers

_SIGN = r" *(?:===|==|~=|!=|<=|>=|<|>|not in|in) *"
_TEXT = r"(?:'[^']*'|\"[^\"]*\")"
_COMPARISON = re.compile(rf"extra *(?P<sign>==|!=) *(?P<conflict>{_TEXT})|\w+{_SIGN}{_TEXT}|{_TEXT}{_SIGN}\w+")
_TRUE, _FALSE = "os_name != ''", "os_name == ''"


class Anywhere(Markers):
    """Markers of no target in particular: one holds that can hold on some platform with some Python."""

    def __init__(self) -> None:
        """Nothing is known of the target."""

    def hold(self, marker: str, active: frozenset[str] = frozenset()) -> bool:
        """See Markers. Of what was set apart by `conflicts` it is known whether it is active."""
        return _possible(marker, active)


@lru_cache(maxsize=4096)
def _possible(marker: str, active: frozenset[str]) -> bool:
    """Markers have no `not`: each part that nobody knows may be taken to hold."""
    if "extra" not in marker:
        return True

    def told(found: re.Match[str]) -> str:
        holds = found["sign"] is None or (found["conflict"][1:-1] in active) == (found["sign"] == "==")
        return _TRUE if holds else _FALSE

    try:
        return Marker(_COMPARISON.sub(told, marker)).evaluate()
    except InvalidMarker:
        return True


def served(lock: Lockfile, roots: Roots) -> Iterator[Installed]:
    """What each of the roots needs on some platform, without that root itself. Raises BadInput, NotALock."""
    every: list[tuple[Package, ...]] = [(root,) for root in roots.packages]
    for alone in every or [()]:
        for one in closure(lock, roots._replace(packages=alone), Anywhere()):
            if one.package not in alone:
                yield one


def ways(lock: Lockfile) -> Mapping[int, tuple[str, ...]]:
    """
    What needs each package, by its position: names from a package of the checkout on, the shortest of such ways.

    Every extra and group counts, on every platform.
    """
    members = lock.manifest.get("members", ())
    found: dict[int, tuple[str, ...]] = {}
    queue: deque[tuple[Package, tuple[str, ...]]] = deque()
    by_name = lock.by_name

    def follow(edges: Iterable[Dependency], way: tuple[str, ...]) -> None:
        for edge in edges:
            for package in by_name.get(edge.name, ()):
                exact = edge.version in {None, package.version} and edge.source in {None, package.source}
                if exact and package.position not in found:
                    found[package.position] = way
                    queue.append((package, (*way, package.name)))

    for package in lock.packages:
        if package.source.kind.local and (package.name in members or package.source.address == "."):
            found[package.position] = ()
            queue.append((package, (package.name,)))
    for group, entries in lock.manifest.get("dependency-groups", {}).items():
        follow((Dependency(one["name"], None, None, (), "") for one in entries), (f"group {group}",))
    while queue:
        package, way = queue.popleft()
        follow(chain(package.dependencies, *package.extras.values(), *package.groups.values()), way)
    return found
