"""What of a repository is tracked and not on disk, and what brings it there."""

from dataclasses import dataclass
from enum import Enum
from pathlib import Path


class Withheld(Enum):
    """Why a tracked path is not on disk."""

    SUBMODULE = "its submodule is not initialised"
    SPARSE = "the sparse checkout leaves it out"
    SKIPPED = "git was told to skip it (--skip-worktree)"


@dataclass(frozen=True, kw_only=True, slots=True)
class Absence:
    """A path that is not on disk, or the submodule that it lies in, relative to the root of its repository."""

    withheld: Withheld
    path: str
    top: Path
