"""Describes tracked paths of a repository that are not on disk."""

from dataclasses import dataclass
from enum import Enum
from pathlib import Path


class AbsenceReason(Enum):
    """Why a tracked path is not on disk."""

    SUBMODULE = "its submodule is not initialised"
    SPARSE = "the sparse checkout excludes it"
    SKIPPED = "it is marked `--skip-worktree` in git's index"


@dataclass(frozen=True, kw_only=True, slots=True)
class AbsentPath:
    """
    A tracked path that is not on disk, or the submodule that contains it.

    `path` is relative to `top`, the root of the repository.
    """

    reason: AbsenceReason
    path: str
    top: Path
