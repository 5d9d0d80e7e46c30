"""Defines the commit of a release, and the last change of a file."""

from enum import Enum

from ...payloads.messages.lazy_dataclass import lazy_dataclass

UNKNOWN = "unknown"
CHANGED = "changed"  # different from HEAD, without a digest


@lazy_dataclass
class Commit:
    """
    HEAD, the project's path in the repository, and a digest of the differences from HEAD (None if there are none).

    For an adopted model, trained elsewhere, each may be UNKNOWN, and `dirty` may be CHANGED instead of a digest.
    """

    sha: str
    project: str
    dirty: str | None = None

    @property
    def changed(self) -> bool:
        """Whether the tree is known to have differed from HEAD."""
        return self.dirty not in (None, UNKNOWN)

    @property
    def description(self) -> str:
        """The commit in messages."""
        if self.sha == UNKNOWN:
            return "an unknown commit"
        return f"commit {self.sha}{self._changes}"

    @property
    def short(self) -> str:
        """The first digits of the commit, for messages that name two of them."""
        return self.sha[:12] + self._changes

    @property
    def _changes(self) -> str:
        return " with uncommitted changes" if self.changed else ""


class History(Enum):
    """What the history of a file shows about its last change."""

    COMMITTED = "committed"
    CUT_OFF = "cut off"  # the clone is shallow, and the change may be older
    UNCOMMITTED = "uncommitted"  # newer than any commit
    UNKNOWN = "unknown"


@lazy_dataclass
class LastChange:
    """When a file last changed, in seconds since 1970 if a commit tells, else the reason why it is unknown."""

    history: History
    at_s: float = 0.0
    reason: str = ""
