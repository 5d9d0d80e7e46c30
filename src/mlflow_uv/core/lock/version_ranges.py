"""Decides whether a version is in a range (PEP 440)."""

import operator
from itertools import zip_longest

from ...command.lazy_pattern import lazy_pattern

_RELEASE = lazy_pattern(r"[0-9]+(?:\.[0-9]+)*")
_BOUND = lazy_pattern(r"\s*(>=|<=|<|>)\s*([0-9]+(?:\.[0-9]+)*)\s*")
_COMPARISONS = {">=": operator.ge, "<=": operator.le, "<": operator.lt, ">": operator.gt}


def in_range(version: str, text: str) -> bool:
    """Whether a version, which may be a pre-release, is in a range such as `>=0.9,<1`. Raises ValueError for others."""
    bounds = [_BOUND.fullmatch(bound) for bound in text.split(",")]
    if all(bounds) and _RELEASE.fullmatch(version):
        return all(_COMPARISONS[bound[1]](*_padded(version, bound[2])) for bound in bounds if bound)
    # Takes a third of the time in which a step starts.
    from packaging.specifiers import SpecifierSet  # noqa: PLC0415  # most hooks meet no range

    return SpecifierSet(text).contains(version, prereleases=True)


def _padded(*versions: str) -> tuple[tuple[int, ...], ...]:
    """The numbers of releases, with zeros up to the same length."""
    numbers = [tuple(map(int, version.split("."))) for version in versions]
    return tuple(zip(*zip_longest(*numbers, fillvalue=0), strict=True))
