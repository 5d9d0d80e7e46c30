"""Defines the causes for a lock that is out of date or cannot be verified, and the differences that have them."""

from enum import Enum
from typing import NamedTuple

from ...payloads.messages.lazy_dataclass import lazy_dataclass


class ManifestPlace(NamedTuple):
    """A file, relative to the lock's folder, and a path of keys and positions in it."""

    file: str
    path: tuple[str | int, ...]


class Cause(Enum):
    """Why a lock is out of date or cannot be verified; each value ends the name of a finding's rule."""

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


@lazy_dataclass
class Difference:
    """A difference between the manifests and what the lock was made from, with its place in a manifest."""

    cause: Cause
    place: ManifestPlace
    what: str
    why: str
