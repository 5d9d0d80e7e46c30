"""Do two ways of writing a version range or a marker mean the same?"""

import re
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from itertools import product
from math import prod

from packaging.markers import InvalidMarker, Marker
from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.version import InvalidVersion, Version

Environment = Mapping[str, str]

_COMPARISON = re.compile(
    r'(\w+) (?:===|==|~=|!=|<=|>=|<|>|not in|in) "([^"]*)"|"([^"]*)" (?:===|==|~=|!=|<=|>=|<|>|not in|in) (\w+)'
)
# What uv takes to exclude each other: a platform has one name in each of the three variables.
_PLATFORMS = (
    ("posix", "linux", "Linux"),
    ("posix", "darwin", "Darwin"),
    ("nt", "win32", "Windows"),
    ("posix", "cygwin", "CYGWIN"),
    ("posix", "freebsd", "FreeBSD"),
    ("posix", "android", "Android"),
    ("posix", "ios", "iOS"),
    ("posix", "emscripten", "Emscripten"),
    ("java", "java", "Java"),
)
_IMPLEMENTATIONS = (("CPython", "cpython"), ("PyPy", "pypy"), ("GraalVM", "graalpy"))
_FAMILIES = (
    (("os_name", "sys_platform", "platform_system"), _PLATFORMS),
    (("platform_python_implementation", "implementation_name"), _IMPLEMENTATIONS),
)
_PYTHON = ("python_version", "python_full_version", "implementation_version")
_ANYTHING = "something else"
_LAST = 99
_MOST = 20_000  # environments that a comparison tries: a second


def python_range(text: str) -> SpecifierSet:
    """The Pythons that a lock is for; all of them where that cannot be read."""
    try:
        return SpecifierSet(text)
    except InvalidSpecifier:
        return SpecifierSet()


def same_range(one: SpecifierSet, other: SpecifierSet) -> bool:
    """Whether two ranges admit the same versions: `>=1.0,<2` and `~=1.0` do."""
    if one == other:
        return True
    return _same(one, other, _around(str(one), str(other)))


def same_pythons(one: SpecifierSet, other: SpecifierSet) -> bool:
    """Whether two ranges admit the same releases of Python: uv writes `>=3.12,<3.13` as `==3.12.*`."""
    versions = _around(str(one), str(other))
    return _same(one, other, [one for one in versions if not (one.is_prerelease or one.is_postrelease or one.local)])


def _same(one: SpecifierSet, other: SpecifierSet, versions: Iterable[Version]) -> bool:
    return all(
        one.contains(version, prereleases=True) == other.contains(version, prereleases=True) for version in versions
    )


@lru_cache(maxsize=4096)
def holds(marker: str, environment: tuple[tuple[str, str], ...], extra: str) -> bool:
    """Whether a marker is true there. The environment is a tuple of pairs, for it is asked again and again."""
    return _marker(marker).evaluate({**dict(environment), "extra": extra})


@lru_cache(maxsize=1024)
def _marker(text: str) -> Marker:
    return Marker(text)


def readable(marker: str) -> bool:
    """Whether it is a marker at all; none is one that always holds."""
    try:
        _marker(marker or "extra == ''")
    except InvalidMarker:
        return False
    return True


class TooManyEnvironments(ValueError):
    """The markers tell more environments apart than can be compared."""


def environments(markers: Iterable[str], python: SpecifierSet) -> Iterator[tuple[tuple[str, str], ...]]:
    """
    Enough environments to tell any two combinations of these markers apart, on the Pythons of that range.

    Around every value that a marker compares with, and one that none of them does. Raises TooManyEnvironments: each
    further variable multiplies them.
    """
    literals: dict[str, set[str]] = {}
    for marker in markers:
        for left, value, turned, right in _COMPARISON.findall(str(_marker(marker))):
            literals.setdefault(left or right, set()).update(re.split(r"[\s,|]+", value or turned))
    axes: list[list[dict[str, str]]] = [_pythons(literals, python)]
    for names, known in _FAMILIES:
        if literals.keys() & set(names):
            axes.append([dict(zip(names, one, strict=True)) for one in (*known, *_strangers(literals, names, known))])
    free = literals.keys() - set(_PYTHON) - {name for names, _ in _FAMILIES for name in names} - {"extra"}
    axes += [[{name: value} for value in sorted({*literals[name], _ANYTHING})] for name in sorted(free)]
    if prod(map(len, axes)) > _MOST:
        raise TooManyEnvironments(f"these markers tell more than {_MOST} environments apart")
    return (
        tuple(sorted({name: value for part in parts for name, value in part.items()}.items()))
        for parts in product(*axes)
    )


def _strangers(
    literals: Mapping[str, set[str]], names: tuple[str, ...], known: tuple[tuple[str, ...], ...]
) -> Iterator[tuple[str, ...]]:
    yield tuple(_ANYTHING for _ in names)
    for position, name in enumerate(names):
        for value in sorted(literals.get(name, set()) - {one[position] for one in known}):
            yield tuple(value if at == position else _ANYTHING for at in range(len(names)))


def _pythons(literals: Mapping[str, set[str]], python: SpecifierSet) -> list[dict[str, str]]:
    asked = [value for name in _PYTHON for value in literals.get(name, ())]
    versions = {version for version in _around(*asked, str(python)) if not version.is_prerelease and not version.local}
    fitting = [one for one in sorted(versions) if python.contains(one)] or [Version("3.12.1")]
    full = {f"{one.major}.{one.minor}.{one.micro}": f"{one.major}.{one.minor}" for one in fitting}
    return [
        {"python_full_version": one, "python_version": short, "implementation_version": one}
        for one, short in full.items()
    ]


@lru_cache(maxsize=1024)
def _around(*texts: str) -> tuple[Version, ...]:
    """Every version that the texts name, and its neighbours: before, after, pre, post, local."""
    found: set[Version] = {Version("0"), Version("9999")}
    for literal in re.findall(r"[0-9][A-Za-z0-9.!+_-]*", " ".join(texts)):
        try:
            version = Version(literal.rstrip("."))
        except InvalidVersion:
            continue
        epoch, release = f"{version.epoch}!", list(version.release)
        whole = ".".join(map(str, release))
        found |= {version, *map(Version, (f"{epoch}{whole}{end}" for end in (".dev0", "a0", "", ".post0", "+local")))}
        found |= {Version(f"{epoch}{whole}.{end}") for end in ("0.1", "1", str(_LAST))}
        for digits in range(1, len(release) + 1):
            kept = release[: digits - 1]
            steps = [[*kept, release[digits - 1] + 1]]
            if release[digits - 1]:
                steps += [[*kept, release[digits - 1] - 1], [*kept, release[digits - 1] - 1, _LAST]]
            found |= {Version(epoch + ".".join(map(str, step)) + end) for step in steps for end in ("", ".dev0")}
    return tuple(sorted(found))
