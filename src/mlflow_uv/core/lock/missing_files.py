"""Describes tracked paths of a repository that are not on disk."""

from enum import Enum
from pathlib import Path

from ...payloads.messages.lazy_dataclass import lazy_dataclass


class AbsenceReason(Enum):
    """Why a tracked path is not on disk."""

    SUBMODULE = "its submodule is not initialised"
    SPARSE = "the sparse checkout excludes it"
    SKIPPED = "it is marked `--skip-worktree` in git's index"


@lazy_dataclass
class AbsentPath:
    """
    A tracked path that is not on disk, or the submodule that contains it.

    `path` is relative to `top`, the root of the repository.
    """

    reason: AbsenceReason
    path: str
    top: Path
