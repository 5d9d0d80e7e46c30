"""Finds files of a lock that git tracks but that are not on disk, and the command that restores them."""

import os
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from ...command.report import first_names
from ...command.wording import local
from ...core.lock.lockfile import NotALock, SourceKind, read_lockfile
from ...core.lock.missing_files import AbsenceReason, AbsentPath
from ...tools.git.git import Git
from ...tools.project.files import Project, path_from

_FOLDERS = frozenset({SourceKind.EDITABLE, SourceKind.DIRECTORY, SourceKind.VIRTUAL})
_MANIFESTS = ("pyproject.toml", "setup.py", "setup.cfg")


class AbsentGroup(NamedTuple):
    """Paths that are missing for one reason, the command that restores them, and an existing file for the finding."""

    what: str
    why: str
    fix: str
    near: Path


def absent_groups(project: Project, git: Git, where: Path) -> tuple[AbsentGroup, ...]:
    """Return the missing paths grouped by reason; commands are relative to the folder `where`."""
    lock_exists = os.path.lexists(project.lock)
    missing = tuple(_missing_folders(project)) if lock_exists else (project.lock,)
    absences = [absence for path in missing if (absence := git.absence(path)) is not None]
    return tuple(
        _group(project, where, reason, list(dict.fromkeys(absence for absence in absences if absence.reason is reason)))
        for reason in AbsenceReason
        if any(absence.reason is reason for absence in absences)
    )


def _missing_folders(project: Project) -> Iterator[Path]:
    try:
        lock = read_lockfile(project.lock.read_bytes())
    except (OSError, NotALock):
        return
    for package in lock.packages:
        folder = Path(os.path.normpath(project.root / package.source.address))
        if package.source.kind in _FOLDERS and not any((folder / name).is_file() for name in _MANIFESTS):
            yield folder


def _group(project: Project, where: Path, reason: AbsenceReason, absences: list[AbsentPath]) -> AbsentGroup:
    paths = [absence.path for absence in absences]
    named = first_names([f"`{path}`" for path in paths])
    lock_alone = [project.lock] == [absence.top / absence.path for absence in absences]
    what = f"{named} {'is' if len(paths) == 1 else 'are'} in the repository, but not on disk"
    return AbsentGroup(
        what=what,
        why=f"{reason.value}, so uv cannot read {'it' if len(paths) == 1 else 'them'}",
        fix=_fix(reason, absences, where),
        near=project.root / "pyproject.toml" if lock_alone else project.lock,
    )


def _fix(reason: AbsenceReason, absences: list[AbsentPath], where: Path) -> str:
    top = absences[0].top
    paths = [absence.path for absence in absences]
    git = "git" if top == where else f"git -C {shlex.quote(path_from(where, top))}"
    listed = shlex.join(paths)
    match reason:
        case AbsenceReason.SUBMODULE:
            relative_paths = shlex.join(os.path.relpath(top / path, where) for path in paths)
            return local(
                f"git submodule update --init -- {relative_paths}", "`submodules: recursive` for actions/checkout"
            )
        case AbsenceReason.SPARSE:
            workflow = f"{listed} in `sparse-checkout` of actions/checkout"
            return local(f"{git} sparse-checkout add {listed}", workflow)
    shown = f"{git} ls-files -z -- {listed} | {git} update-index --no-skip-worktree -z --stdin"
    return f"{shown} && {git} checkout -- {listed}"
