"""
Compares versions with ranges of plain numbers, and has no answer for any other.

`packaging` compares them all; importing it takes longer than a hook may take.
"""

import re

from ...command.lazy_pattern import lazy_pattern

_RELEASE = lazy_pattern(r"v?(\d+(?:\.\d+)*)")
_LONGEST = 100  # characters of a version that is compared; Python refuses to read numbers of thousands of digits
_CLAUSE = lazy_pattern(r"(===|==|~=|!=|<=|>=|<|>)\s*v?([0-9][^\s,;]*)")


def normal_name(name: str) -> str:
    """The normal form of a package's name (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def release_of(version: str) -> tuple[int, ...] | None:
    """The numbers of a version without trailing zeros; None if it has anything else, such as `rc1`."""
    if len(version) > _LONGEST:
        return None
    match = _RELEASE.fullmatch(version.partition("+")[0])
    return None if match is None else _trimmed(tuple(map(int, match[1].split("."))))


def satisfies(version: str, ranges: str) -> bool | None:
    """
    Whether a version is in all ranges (PEP 440), such as `>=2,<3`; None where this cannot be told.

    Local versions are ignored: `2.1+cpu` is in `==2.1`.
    """
    release = release_of(version)
    clauses = _CLAUSE.findall(ranges)
    if release is None or len(clauses) != len([part for part in ranges.split(",") if part.strip()]):
        return None
    results = [_satisfies(release, operator, bound) for operator, bound in clauses]
    if False in results:
        return False
    return None if None in results else True


def same_version(one: str, other: str) -> bool:
    """Whether two versions are equal without their local parts."""
    first, second = release_of(one), release_of(other)
    if first is not None and second is not None:
        return first == second
    return one.partition("+")[0].lower() == other.partition("+")[0].lower()


def _satisfies(release: tuple[int, ...], operator: str, bound: str) -> bool | None:
    if bound.endswith(".*") and operator in ("==", "!="):
        if len(bound) > _LONGEST or not re.fullmatch(r"\d+(\.\d+)*\.\*", bound):
            return None
        prefix = tuple(map(int, bound[:-2].split(".")))
        padded = release + (0,) * (len(prefix) - len(release))
        return (padded[: len(prefix)] == prefix) == (operator == "==")
    limit = release_of(bound)
    if limit is None:
        return None
    match operator:
        case "==" | "===":
            return release == limit
        case "!=":
            return release != limit
        case "<":
            return release < limit
        case "<=":
            return release <= limit
        case ">":
            return release > limit
        case ">=":
            return release >= limit
    parts = tuple(map(int, bound.partition("+")[0].split(".")))[:-1]  # ~=
    padded = release + (0,) * (len(parts) - len(release))
    return release >= limit and padded[: len(parts)] == parts


def _trimmed(numbers: tuple[int, ...]) -> tuple[int, ...]:
    while len(numbers) > 1 and numbers[-1] == 0:
        numbers = numbers[:-1]
    return numbers
