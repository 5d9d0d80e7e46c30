"""Decides whether version ranges are equivalent, and lists the environments that tell markers apart."""

import re
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from itertools import product
from math import prod

from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.version import InvalidVersion, Version

from ...command.lazy_pattern import lazy_pattern
from ..lock.markers import normal_form

_COMPARISON = lazy_pattern(
    r'(\w+) (?:===|==|~=|!=|<=|>=|<|>|not in|in) "([^"]*)"|"([^"]*)" (?:===|==|~=|!=|<=|>=|<|>|not in|in) (\w+)'
)
# Values that uv treats as mutually exclusive: a platform has one value in each of the three variables.
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
_MOST_ENVIRONMENTS = 20_000  # environments of one comparison, which take a second


def python_range(text: str) -> SpecifierSet:
    """Parse `requires-python`; text that is not a range allows every version."""
    try:
        return SpecifierSet(text)
    except InvalidSpecifier:
        return SpecifierSet()


def same_range(first: SpecifierSet, second: SpecifierSet) -> bool:
    """Whether two ranges allow the same versions, as `>=1.0,==1.*` and `~=1.0` do."""
    if first == second:
        return True
    try:
        return first.is_subset(second) and second.is_subset(first)
    except ValueError:  # `===` compares text, and equals only itself
        return False


def same_pythons(first: SpecifierSet, second: SpecifierSet) -> bool:
    """Whether two ranges allow the same final releases of Python; uv writes `>=3.12,<3.13` as `==3.12.*`."""
    versions = _neighbouring_versions(str(first), str(second))
    final = [version for version in versions if not (version.is_prerelease or version.is_postrelease or version.local)]
    return all(first.contains(version) == second.contains(version) for version in final)


class TooManyEnvironments(ValueError):
    """Comparing these markers would need more environments than the limit."""


def environments(markers: Iterable[str], python: SpecifierSet) -> Iterator[Mapping[str, str]]:
    """
    Yield enough environments, within a range of Pythons, to tell any two combinations of these markers apart.

    They cover the neighbourhood of every value that a marker compares with, and one other value. Raises
    TooManyEnvironments, as each variable multiplies their number.
    """
    literals: dict[str, set[str]] = {}
    for marker in markers:
        for left, value, turned, right in _COMPARISON.findall(normal_form(marker)):
            literals.setdefault(left or right, set()).update(re.split(r"[\s,|]+", value or turned))
    axes: list[list[dict[str, str]]] = [_pythons(literals, python)]
    for names, known in _FAMILIES:
        if literals.keys() & set(names):
            axes.append(
                [dict(zip(names, family, strict=True)) for family in (*known, *_other_values(literals, names, known))]
            )
    free = literals.keys() - set(_PYTHON) - {name for names, _ in _FAMILIES for name in names} - {"extra"}
    axes += [[{name: value} for value in sorted({*literals[name], _ANYTHING})] for name in sorted(free)]
    if prod(map(len, axes)) > _MOST_ENVIRONMENTS:
        raise TooManyEnvironments(f"comparing these markers needs more than {_MOST_ENVIRONMENTS} environments")
    return ({name: value for part in parts for name, value in part.items()} for parts in product(*axes))


def _other_values(
    literals: Mapping[str, set[str]], names: tuple[str, ...], known: tuple[tuple[str, ...], ...]
) -> Iterator[tuple[str, ...]]:
    yield tuple(_ANYTHING for _ in names)
    for position, name in enumerate(names):
        for value in sorted(literals.get(name, set()) - {family[position] for family in known}):
            yield tuple(value if at == position else _ANYTHING for at in range(len(names)))


def _pythons(literals: Mapping[str, set[str]], python: SpecifierSet) -> list[dict[str, str]]:
    literals_of_python = [value for name in _PYTHON for value in literals.get(name, ())]
    versions = {
        version
        for version in _neighbouring_versions(*literals_of_python, str(python))
        if not version.is_prerelease and not version.local
    }
    fitting = [version for version in sorted(versions) if python.contains(version)] or [Version("3.12.1")]
    full = {
        f"{version.major}.{version.minor}.{version.micro}": f"{version.major}.{version.minor}" for version in fitting
    }
    return [
        {"python_full_version": version, "python_version": short, "implementation_version": version}
        for version, short in full.items()
    ]


@lru_cache(maxsize=1024)
def _neighbouring_versions(*texts: str) -> tuple[Version, ...]:
    """Every version in the texts and its neighbours: the next and the previous, pre-, post- and local releases."""
    versions: set[Version] = {Version("0"), Version("9999")}
    for literal in re.findall(r"[0-9][A-Za-z0-9.!+_-]*", " ".join(texts)):
        try:
            version = Version(literal.rstrip("."))
        except InvalidVersion:
            continue
        epoch, release = f"{version.epoch}!", list(version.release)
        whole = ".".join(map(str, release))
        versions |= {
            version,
            *map(Version, (f"{epoch}{whole}{end}" for end in (".dev0", "a0", "", ".post0", "+local"))),
        }
        versions |= {Version(f"{epoch}{whole}.{end}") for end in ("0.1", "1", str(_LAST))}
        for digits in range(1, len(release) + 1):
            kept = release[: digits - 1]
            steps = [[*kept, release[digits - 1] + 1]]
            if release[digits - 1]:
                steps += [[*kept, release[digits - 1] - 1], [*kept, release[digits - 1] - 1, _LAST]]
            versions |= {Version(epoch + ".".join(map(str, step)) + end) for step in steps for end in ("", ".dev0")}
    return tuple(sorted(versions))
