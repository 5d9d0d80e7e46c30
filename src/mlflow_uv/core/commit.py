"""Which state of the repository is this?"""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True, slots=True)
class Commit:
    """HEAD, the project's path in the repository, and a digest of what differs from HEAD (None when clean)."""

    sha: str
    project: str
    dirty: str | None = None
