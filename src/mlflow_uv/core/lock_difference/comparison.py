"""Defines the comparison of all locks of a repository between two commits."""

from enum import Enum

from ...command.report import counted, first_names
from ...payloads.messages.lazy_dataclass import lazy_dataclass
from .changes import ChangeKind, PackageChange, PackageUse
from .lock_update import LockUpdate


class LockChange(Enum):
    """What happened to a lock."""

    CHANGED = "changed"
    ADDED = "added"
    REMOVED = "removed"
    UNREADABLE = "unreadable"


_NAMED = 3  # settings in a verdict


@lazy_dataclass
class TargetProblem:
    """A package that a target cannot install from a wheel, which was not so before."""

    package: str
    version: str
    method: str


@lazy_dataclass
class TargetComparison:
    """
    What is served on a target: the number of packages, and the bytes of their files before and after.

    Of several wheels that fit the largest counts; `unknown` packages of both have no size in either lock. `uncovered`
    says that the lock does not support the target, or why it cannot be read for it.
    """

    target: str
    packages_before: int = 0
    packages_after: int = 0
    bytes_before: int = 0
    bytes_after: int = 0
    unknown: int = 0
    uncovered: str = ""
    problems: tuple[TargetProblem, ...] = ()


@lazy_dataclass
class LockComparison:
    """
    The differences of one lock; `path` is relative to the repository, `note` says what could not be compared.

    `moved_from` is the path at the base, if that was another one. `settings` are the options of uv and other values of
    the lock that differ, each as one text.
    """

    path: str
    change: LockChange
    moved_from: str = ""
    note: str = ""
    packages: tuple[PackageChange, ...] = ()
    targets: tuple[TargetComparison, ...] = ()
    left_out: int = 0
    settings: tuple[str, ...] = ()

    @property
    def served(self) -> tuple[PackageChange, ...]:
        """The differences of what is served, and those of which that is unknown."""
        return tuple(change for change in self.packages if change.use is not PackageUse.DEVELOPMENT)

    @property
    def development(self) -> tuple[PackageChange, ...]:
        """The differences of packages that are not served."""
        return tuple(change for change in self.packages if change.use is PackageUse.DEVELOPMENT)


@lazy_dataclass
class RepositoryComparison:
    """
    The locks that differ between two commits. `head` and `base` are full commit ids.

    `pull_request` is the number of the pull request and `head_of_pull_request` the commit that its author pushed; a
    workflow checks out a merge of it, which is `head` then. A document has a limited size, so it may leave out locks,
    and the packages in them. `updates` are the locks that are out of date at the head.
    """

    base: str
    head: str
    pull_request: int = 0
    head_of_pull_request: str = ""
    yanked_checked: bool = False
    vulnerable_checked: bool = False
    locks: tuple[LockComparison, ...] = ()
    left_out_locks: int = 0
    left_out_packages: int = 0
    updates: tuple[LockUpdate, ...] = ()

    @property
    def verdict(self) -> str:
        """The comparison in one line, without a full stop."""
        if not self.updates:
            return self._changes()
        outdated = f"{counted(len(self.updates), 'lock')} {'is' if len(self.updates) == 1 else 'are'} out of date"
        return f"{outdated}; {self._changes()}" if self.locks else outdated

    def _changes(self) -> str:
        if not self.locks:
            return "no lock changes"
        unreadable = sum(lock.change is LockChange.UNREADABLE for lock in self.locks)
        readable = len(self.locks) - unreadable
        parts = [f"{counted(unreadable, 'lock')} cannot be compared"] if unreadable else []
        if readable or self.left_out_locks:
            parts.append(self._packages() or self._settings(readable + self.left_out_locks))
        return "; ".join(parts)

    def _settings(self, number: int) -> str:
        """What changed where no package did."""
        names = dict.fromkeys(text.partition(":")[0] for lock in self.locks for text in lock.settings)
        where = f"in {first_names(tuple(names), most=_NAMED)}" if names else "and no package"
        return f"{counted(number, 'lock')} changed, {where}"

    def _packages(self) -> str:
        """How many packages changed and how many of them are served; empty if none did."""
        packages = [change for lock in self.locks for change in lock.packages]
        unlisted = self.left_out_packages + sum(lock.left_out for lock in self.locks)
        if not packages and not unlisted:
            return ""
        uses = [change.use for change in packages]
        served, unknown = uses.count(PackageUse.SERVED), uses.count(PackageUse.UNKNOWN) + unlisted
        kinds = [
            f"{number} {kind.value}"
            for kind in ChangeKind
            if (number := sum(change.kind is kind for change in packages))
        ]
        kinds += [f"{unlisted} not listed"] if unlisted else []
        meaning = f"{served} of them served" if served or unknown else "none of them served"
        perhaps = f", {unknown} perhaps" if unknown else ""
        return f"{counted(len(packages) + unlisted, 'package')} changed ({', '.join(kinds)}), {meaning}{perhaps}"
