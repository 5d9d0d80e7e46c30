"""
Writes a comparison of locks as JSON, and reads one from an untrusted source.

The job of a pull request from a fork writes the file, and a job with permissions reads it: its author decides every
byte. What is read has a bounded size and only texts that can be names, versions and addresses.
"""

import json
from collections.abc import Iterator
from dataclasses import asdict, replace
from enum import Enum
from typing import Any

from ...command.lazy_pattern import lazy_pattern
from ..security.job_documents import read_job_document
from .changes import ChangeKind, PackageChange
from .comment import warnings_of
from .comparison import LockComparison, RepositoryComparison, TargetComparison
from .lock_update import is_written
from .settings import LONGEST as LONGEST_SETTING
from .settings import MOST as MOST_SETTINGS

SCHEMA = "mlflow-uv/lock-comparison/1"
LIMIT = 1_000_000  # bytes
MOST_LOCKS = 100
MOST_PACKAGES = 1_000  # of one lock; the others are counted
MOST_TARGETS = 20
MOST_UPDATES = 20
MOST_VULNERABILITIES = 20  # of one package
_MOST_IN_ALL = 3_000  # packages; the document is cut further if it is still too large
_LARGEST = 1 << 60
_NAME = lazy_pattern(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,198}[A-Za-z0-9])?")
_VERSION = lazy_pattern(r"[A-Za-z0-9.!+_-]{0,100}")
_COMMIT = lazy_pattern(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")
_TARGET = lazy_pattern(r"[a-z0-9._-]{1,80}")
_LONGEST = 1_000  # characters of a path, an address or a note


class InvalidComparison(ValueError):
    """A document that is no comparison; the message is the reason."""


def comparison_document(comparison: RepositoryComparison) -> bytes:
    """Write a comparison, within the limits that `read_comparison` requires."""
    comparison = replace(comparison, updates=comparison.updates[:MOST_UPDATES])
    given = [_bounded(lock) for lock in comparison.locks]
    if len(given) > MOST_LOCKS:  # what a reviewer should look at is kept
        given.sort(key=lambda lock: next(warnings_of(lock), None) is None)
    most = min(MOST_PACKAGES, _MOST_IN_ALL // max(1, min(MOST_LOCKS, len(given))))
    locks, left_out = _cut([_with_packages(lock, most) for lock in given], MOST_LOCKS)
    left_out_packages = sum(map(_number_of_packages, left_out))
    while True:
        cut = replace(
            comparison,
            locks=tuple(locks),
            left_out_locks=len(given) - len(locks),
            left_out_packages=left_out_packages,
        )
        data = _encoded(cut)
        if len(data) <= LIMIT:
            return data
        half = max((len(lock.packages) for lock in locks), default=0) // 2
        if any(update.hunks for update in comparison.updates):
            comparison = replace(comparison, updates=tuple(replace(each, hunks=()) for each in comparison.updates))
        elif half:
            locks = [_with_packages(lock, half) for lock in locks]
        else:
            locks, left_out = _cut(locks, len(locks) // 2)
            left_out_packages += sum(map(_number_of_packages, left_out))


def _cut(locks: list[LockComparison], most: int) -> tuple[list[LockComparison], list[LockComparison]]:
    return locks[:most], locks[most:]


def _number_of_packages(lock: LockComparison) -> int:
    return len(lock.packages) + lock.left_out


def read_comparison(data: bytes) -> RepositoryComparison:
    """Read a comparison. Raises InvalidComparison for any other document."""
    comparison = read_job_document(
        RepositoryComparison, data, schema=SCHEMA, limit=LIMIT, what="the comparison", invalid=InvalidComparison
    )
    if problem := next(_problems(comparison), None):
        raise InvalidComparison(problem)
    return comparison


def _encoded(comparison: RepositoryComparison) -> bytes:
    plain = {"schema": SCHEMA, **asdict(comparison)}
    return json.dumps(plain, indent=1, default=_value).encode() + b"\n"


def _value(value: object) -> Any:
    if isinstance(value, Enum):
        return value.value
    raise AssertionError(value)


def _bounded(lock: LockComparison) -> LockComparison:
    """A comparison with texts of bounded length."""
    cut = replace(
        lock,
        path=lock.path[:_LONGEST],
        moved_from=lock.moved_from[:_LONGEST],
        note=lock.note[:_LONGEST],
        targets=lock.targets[:MOST_TARGETS],
    )
    packages = tuple(
        replace(
            package,
            source_before=package.source_before[:_LONGEST],
            source_after=package.source_after[:_LONGEST],
            files=package.files[:_LONGEST],
            vulnerabilities=tuple(text[:_LONGEST] for text in package.vulnerabilities[:MOST_VULNERABILITIES]),
        )
        for package in lock.packages
        if not any(_of_package(package))
    )
    unreadable = len(lock.packages) - len(packages)
    return replace(cut, packages=packages, left_out=cut.left_out + unreadable)


def _with_packages(lock: LockComparison, most: int) -> LockComparison:
    changes = (*lock.served, *lock.development)
    kept = tuple(sorted(changes, key=_is_harmless))[:most] if len(changes) > most else changes
    targets = tuple(replace(target, problems=target.problems[:most]) for target in lock.targets)
    more = len(lock.packages) - len(kept)
    return replace(lock, packages=kept, targets=targets, left_out=lock.left_out + more)


def _is_harmless(change: PackageChange) -> bool:
    """Whether no warning is about a change; what a reviewer should look at is kept where others are left out."""
    return not (
        change.yanked
        or change.vulnerabilities
        or change.files
        or change.source_after
        or change.kind is ChangeKind.FILES
    )


def _problems(comparison: RepositoryComparison) -> Iterator[str]:
    for name in ("base", "head"):
        if not _COMMIT.fullmatch(getattr(comparison, name)):
            yield f"`{name}` is not a commit"
    if comparison.head_of_pull_request and not _COMMIT.fullmatch(comparison.head_of_pull_request):
        yield "`head_of_pull_request` is not a commit"
    if not 0 <= comparison.pull_request <= _LARGEST:
        yield "`pull_request` is not a number of a pull request"
    if not all(0 <= count <= _LARGEST for count in (comparison.left_out_locks, comparison.left_out_packages)):
        yield "a count is not one"
    if len(comparison.locks) > MOST_LOCKS:
        yield f"it has more than {MOST_LOCKS} locks"
    if len(comparison.updates) > MOST_UPDATES or not all(map(is_written, comparison.updates)):
        yield "an update is not one of a lock"
    for lock in comparison.locks:
        yield from _of_lock(lock)


def _of_lock(lock: LockComparison) -> Iterator[str]:
    if not lock.path or max(map(len, (lock.path, lock.moved_from, lock.note))) > _LONGEST:
        yield "a lock has a path or a note that is too long"
    if len(lock.packages) > MOST_PACKAGES or len(lock.targets) > MOST_TARGETS or not 0 <= lock.left_out <= _LARGEST:
        yield "a lock has too many parts"
    if len(lock.settings) > MOST_SETTINGS or max(map(len, lock.settings), default=0) > LONGEST_SETTING:
        yield "a lock has too many settings, or one that is too long"
    for package in lock.packages:
        yield from _of_package(package)
        if max(len(package.source_before), len(package.source_after), len(package.files)) > _LONGEST:
            yield "a source or a list of files is too long"
    for target in lock.targets:
        yield from _of_target(target)


def _of_package(package: PackageChange) -> Iterator[str]:
    if not _NAME.fullmatch(package.name):
        yield "the name of a package is not one"
    if not all(map(_VERSION.fullmatch, (package.before, package.after))):
        yield "the version of a package is not one"
    if len(package.vulnerabilities) > MOST_VULNERABILITIES or any(
        len(text) > _LONGEST for text in package.vulnerabilities
    ):
        yield "a vulnerability of a package is not one"


def _of_target(target: TargetComparison) -> Iterator[str]:
    counts = (target.packages_before, target.packages_after, target.bytes_before, target.bytes_after, target.unknown)
    if not _TARGET.fullmatch(target.target) or len(target.uncovered) > _LONGEST:
        yield "a target is not one"
    if not all(0 <= count <= _LARGEST for count in counts) or len(target.problems) > MOST_PACKAGES:
        yield "a count is not one"
    for problem in target.problems:
        if (
            not _NAME.fullmatch(problem.package)
            or not _VERSION.fullmatch(problem.version)
            or len(problem.method) > _LONGEST
        ):
            yield "a problem of a target is not one"
