"""Which state of the repository is this?"""

from dataclasses import dataclass
from enum import Enum

UNKNOWN = "unknown"
CHANGED = "changed"  # nobody knows how


@dataclass(frozen=True, kw_only=True, slots=True)
class Commit:
    """
    HEAD, the project's path in the repository, and a digest of what differs from HEAD (None when clean).

    Of a model that somebody else trained, each may be UNKNOWN, and instead of a digest it may say CHANGED.
    """

    sha: str
    project: str
    dirty: str | None = None

    @property
    def changed(self) -> bool:
        """Whether the tree is known to have differed from HEAD."""
        return self.dirty not in (None, UNKNOWN)

    @property
    def told(self) -> str:
        """How a sentence names it."""
        if self.sha == UNKNOWN:
            return "an unknown commit"
        return f"commit {self.sha}{' with uncommitted changes' if self.changed else ''}"


class History(Enum):
    """What the history of a file tells of its last change."""

    COMMITTED = "committed"
    CUT_OFF = "cut off"  # the clone is shallow: then or before
    UNCOMMITTED = "uncommitted"  # later than any commit
    UNKNOWN = "unknown"


CHANGED = "changed"  # nobody knows how


@dataclass(frozen=True, kw_only=True, slots=True)
class LastChange:
    """When a file last changed, in seconds since 1970 where a commit says so, or why nobody knows."""

    history: History
    at_s: float = 0.0
    reason: str = ""
