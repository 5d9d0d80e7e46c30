"""Pins installed packages and everything that they need."""

import importlib.metadata
from collections.abc import Iterable, Iterator

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from ..distributions import requirements_of, version_of


def closure_pins(names: Iterable[str]) -> "list[str]":
    """
    Return `NAME==VERSION` for installed packages and all that they need here, sorted.

    Extras and markers count as pip counts them (PEP 508). A needed package that is not installed is left out: whoever
    installed the environment decided so. Raises PackageNotFoundError if one of `names` is not installed.
    """
    pending = [(str(canonicalize_name(name)), frozenset[str]()) for name in names]
    found = {name: version_of(name) for name, _ in pending}
    seen = set(pending)
    while pending:
        for needed, extras in _needed(*pending.pop()):
            try:
                found[needed] = version_of(needed)
            except importlib.metadata.PackageNotFoundError:
                continue
            if (needed, extras) not in seen:
                seen.add((needed, extras))
                pending.append((needed, extras))
    return [f"{name}=={found[name]}" for name in sorted(found)]


def _needed(name: str, extras: "frozenset[str]") -> "Iterator[tuple[str, frozenset[str]]]":
    for line in requirements_of(name):
        requirement = Requirement(line)
        marker = requirement.marker
        if marker is None or any(marker.evaluate({"extra": extra}) for extra in ("", *extras)):
            yield str(canonicalize_name(requirement.name)), frozenset(requirement.extras)
