"""Tabulates on which platforms the packages of a version can be installed, from the lock in its model."""

from collections.abc import Iterator
from pathlib import Path

from ...command.report import Table, counted, first_names
from ...core.lock.closure import selected_roots
from ...core.lock.lockfile import NotALock, read_lockfile
from ...core.lock.targets import parse_target
from ...core.lock_difference.comparison import TargetComparison
from ...core.lock_difference.served import compare_target
from ...core.model import model_files
from ...core.release.record import Record
from ...core.security.size_limits import LOCK_LIMIT
from ...tools.project.files import read_project
from ...tools.system.untrusted_file import read_untrusted

PLATFORMS_TITLE = "where it can be installed"
_PLATFORMS = ("linux-x86_64", "linux-aarch64", "macos-arm64", "windows-x86_64")
_MEGABYTE = 1e6


def platforms_table(model: Path, record: Record) -> Table | None:
    """
    Return a row for each platform with the Python of the model; None if the model has no lock.

    The packages of the project itself do not count: the model has wheels of them. Raises ValueError for a lock that
    cannot be read, and StepError for a manifest or a selection that cannot.
    """
    file = model / model_files.LOCK
    if not file.is_file():
        return None
    project = read_project(file.parent)
    minor = ".".join(record.model.python.split(".")[:2])
    try:
        lock = read_lockfile(read_untrusted(file, limit=LOCK_LIMIT))
        roots = selected_roots(lock, record.selection, name=project.name if project.named else None)
    except NotALock as error:
        raise ValueError(f"the lock of the model cannot be read: {error}") from error
    own = {package.name for package in lock.packages if package.source.kind.local}
    targets = (parse_target(f"{platform}-py{minor}") for platform in _PLATFORMS)
    rows = tuple(_row(compare_target(None, (lock, (roots,)), target), own) for target in targets)
    return Table(title=PLATFORMS_TITLE, columns=("target", "packages", "download", "installs"), rows=rows)


def _row(target: TargetComparison, own: set[str]) -> tuple[str, str, str, str]:
    if target.uncovered:
        return target.target, "", "", f"? {target.uncovered}"
    problems = list(_problems(target, own))
    result = f"✗ {first_names(problems)}" if problems else "✓ from wheels"
    unknown = f", without {counted(target.unknown, 'package')} of unknown size" if target.unknown else ""
    size = f"{target.bytes_after / _MEGABYTE:.1f} MB{unknown}" if target.bytes_after or not unknown else "unknown"
    return target.target, str(target.packages_after), size, result


def _problems(target: TargetComparison, own: set[str]) -> Iterator[str]:
    for problem in target.problems:
        if problem.package not in own:
            yield f"{problem.package} {problem.version}: {problem.method}"
