"""Decides which of the supported Pythons a lock allows."""

from packaging.specifiers import InvalidSpecifier, SpecifierSet

from ...command.errors import BadInput
from ...command.wording import option
from .lockfile import NotALock
from .targets import NEWEST_MINOR, NEWEST_PATCH, OLDEST_MINOR


def allows_several(requires_python: str) -> bool:
    """Whether a lock allows more than one minor version of Python. Raises NotALock."""
    allowed = allowed_pythons(requires_python)
    minors = range(OLDEST_MINOR, NEWEST_MINOR + 1)
    return sum(allowed.contains(f"3.{minor}.{NEWEST_PATCH}") for minor in minors) > 1


def allowed_pythons(requires_python: str) -> SpecifierSet:
    """Parse a lock's `requires-python`. Raises NotALock."""
    try:
        return SpecifierSet(requires_python)
    except InvalidSpecifier as error:
        raise NotALock(f"its `requires-python` is malformed: {error}") from error


def oldest_python(requires_python: str) -> tuple[int, int | None]:
    """The oldest minor version whose newest patch is allowed; else the oldest with any allowed patch."""
    allowed = allowed_pythons(requires_python)
    minors = range(OLDEST_MINOR, NEWEST_MINOR + 1)
    for minor in minors:
        if allowed.contains(f"3.{minor}.{NEWEST_PATCH}"):
            return minor, None
    for minor in minors:
        for patch in range(NEWEST_PATCH, -1, -1):
            if allowed.contains(f"3.{minor}.{patch}"):
                return minor, patch
    raise BadInput(
        what="no supported Python satisfies the lock's `requires-python`",
        why=f"it is {requires_python!r}, supported are 3.{OLDEST_MINOR} to 3.{NEWEST_MINOR}",
        fix=option("targets", "TARGET"),
    )
