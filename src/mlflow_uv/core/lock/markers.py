"""Evaluates environment markers (PEP 508)."""

from collections.abc import Mapping
from functools import lru_cache
from typing import Any


def holds(marker: str, environment: Mapping[str, str], extra: str = "") -> bool:
    """
    Whether a marker holds in an environment of marker variables; an empty marker always holds.

    Variables that the environment lacks have the value of this interpreter. Raises ValueError for an invalid marker.
    """
    return not marker or _evaluated(marker, tuple(environment.items()), extra)


def normal_form(marker: str) -> str:
    """A marker as `packaging` writes it; empty for none. Raises ValueError for an invalid one."""
    return str(_parsed(marker)) if marker else ""


def readable(marker: str) -> bool:
    """Whether a text is a valid marker; an empty text always holds and is valid."""
    try:
        normal_form(marker)
    except ValueError:
        return False
    return True


# Locks repeat few markers, and a comparison evaluates each of them in up to thousands of environments.
@lru_cache(maxsize=4096)
def _evaluated(marker: str, environment: tuple[tuple[str, str], ...], extra: str) -> bool:
    return bool(_parsed(marker).evaluate({**dict(environment), "extra": extra}))


@lru_cache(maxsize=1024)
def _parsed(marker: str) -> Any:
    from packaging.markers import Marker  # noqa: PLC0415  # most hooks meet no marker that has to be parsed

    return Marker(marker)
