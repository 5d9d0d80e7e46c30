"""Why is a lock not fresh, or why can nobody tell? The words for it."""

from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple


class ManifestPlace(NamedTuple):
    """A file, relative to the lock's folder, and a path of keys in it."""

    file: str
    path: tuple[str | int, ...]


class Cause(Enum):
    """Why a lock is not fresh, or why nobody can tell."""

    REQUIREMENT_ADDED = "requirement-added"
    REQUIREMENT_REMOVED = "requirement-removed"
    REQUIREMENT_CHANGED = "requirement-changed"
    OVERRIDE = "override"
    CONSTRAINT = "constraint"
    BUILD_CONSTRAINT = "build-constraint"
    EXCLUDE = "exclude"
    SOURCE = "source"
    INDEX = "index"
    REQUIRES_PYTHON = "requires-python"
    MEMBER = "member"
    OPTION = "option"
    ENVIRONMENT = "environment"
    MISSING = "missing"
    ABSENT = "absent"
    GROUP = "group"
    UNMANAGED = "unmanaged"
    UNANSWERED = "unanswered"
    UNSOLVABLE = "unsolvable"
    INTERPRETER = "interpreter"
    NETWORK = "network"
    CREDENTIALS = "credentials"
    SETTINGS = "settings"  # of uv, which it ignores
    BUILD = "build"
    UNREADABLE = "unreadable"
    CONFLICT = "conflict"
    FORMAT = "format"
    UNKNOWN = "stale"


@dataclass(frozen=True, kw_only=True, slots=True)
class Difference:
    """One thing that the lock was not made from, and where it stands now, or stood."""

    cause: Cause
    place: ManifestPlace
    what: str
    why: str
