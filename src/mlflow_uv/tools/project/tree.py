"""Finds the uv projects below a folder, each once, by the root whose lock covers it."""

import os
from collections.abc import Iterable, Iterator
from fnmatch import fnmatchcase
from pathlib import Path

from ...command.errors import BadProject
from ..git.git import Git
from .files import Project, UnreadableProject, read_project, table_of

# Folders that hold other people's projects: copies, and what package managers make.
_NOT_OURS = frozenset({
    "node_modules", "site-packages", "__pypackages__", "vendor", "vendored", "_vendor", "third_party", "third-party",
    ".git", ".hg", ".tox", ".nox", ".venv", "venv",
})  # fmt: skip
_MARKS = frozenset({"pyproject.toml", "uv.lock"})


def projects_below(folder: Path, git: Git, *, exclude: tuple[str, ...] = ()) -> tuple[Project | UnreadableProject, ...]:
    """
    The roots of the projects in and below a folder, in path order, the folder's own first.

    A project counts if it has a `uv.lock`, or says in its manifest that uv or we manage it; the folder's own also if it
    has a `[project]` table. A manifest that only configures other tools is no project.
    What git ignores is not entered, nor environments, vendored copies and `exclude`: globs of paths below `folder`.
    """
    folder = Path(os.path.abspath(folder))  # noqa: PTH100  # a link stays the path the caller gave
    known = git.files_below(folder, tuple(f"*{name}" for name in sorted(_MARKS)))
    files = _walk(folder) if known is None else (file for file in known if file.name in _MARKS)
    found = {file.parent for file in files if not _barred(file.parent.relative_to(folder).parts, exclude)}
    return tuple(_roots((folder, *sorted(found - {folder})), start=folder))


def script_locks_below(folder: Path, git: Git, *, exclude: tuple[str, ...] = ()) -> tuple[Path, ...]:
    """The locks of single scripts (`x.py.lock` beside `x.py`) in and below a folder, in path order, files or not."""
    folder = Path(os.path.abspath(folder))  # noqa: PTH100  # a link stays the path the caller gave
    known = git.files_below(folder, ("*.py.lock",))
    files = _walk(folder, ".py.lock") if known is None else known
    return tuple(
        file
        for file in sorted(files)
        if not _barred(file.parent.relative_to(folder).parts, exclude) and file.with_suffix("").is_file()
    )


def projects_of(files: Iterable[Path], top: Path) -> tuple[Project | UnreadableProject, ...]:
    """The roots of the projects in `top` that changed files belong to, each once; a file may belong to none."""
    folders = {found: None for file in files if (found := _nearest(file, top)) is not None}
    return tuple(_roots(folders, start=top))


def locked_folders(top: Path, git: Git) -> tuple[Path, ...]:
    """The folders in and below `top` that hold a uv.lock and a manifest, in path order; none is read."""
    known = git.files_below(top, ("*uv.lock",))
    files = _walk(top) if known is None else known
    folders = {file.parent for file in files if file.name == "uv.lock"}
    return tuple(
        folder
        for folder in sorted(folders)
        if not _barred(folder.relative_to(top).parts, ()) and (folder / "pyproject.toml").is_file()
    )


def _nearest(file: Path, top: Path) -> Path | None:
    within = [folder for folder in file.parents if folder.is_relative_to(top)]
    if any((folder / "pyvenv.cfg").exists() for folder in within):
        return None
    found = next((folder for folder in within if (folder / "pyproject.toml").is_file()), None)
    return None if found is None or _barred(found.relative_to(top).parts, ()) else found


def _roots(folders: Iterable[Path], *, start: Path) -> Iterator[Project | UnreadableProject]:
    seen: set[Path] = set()
    for folder in folders:
        try:
            project = read_project(folder)
        except UnreadableProject as error:
            known = error.path.parent == start or os.path.lexists(error.path.parent / "uv.lock")
            if known and error.path not in seen:
                seen.add(error.path)
                yield error
        except BadProject:
            continue  # a lock without a project
        else:
            if project.root not in seen and is_managed(project, first=folder == start):
                seen.add(project.root)
                yield project if project.root == project.folder else read_project(project.root)


def is_managed(project: Project, *, first: bool) -> bool:
    """Whether uv looks after it, as far as its files tell; the `first` one need not say so, if it is a project."""
    tool_tables = table_of(project.manifest, "tool")
    if table_of(tool_tables, "uv").get("managed") is False:
        return False
    if first and project.named:
        return True
    return os.path.lexists(project.lock) or bool({"uv", "mlflow-uv"} & tool_tables.keys())


def _barred(parts: tuple[str, ...], exclude: tuple[str, ...]) -> bool:
    if _NOT_OURS & set(parts):
        return True
    prefixes = ["/".join(parts[:length]) for length in range(1, len(parts) + 1)]
    return any(fnmatchcase(prefix, pattern.strip("/")) for prefix in prefixes for pattern in exclude)


def _walk(folder: Path, ending: str = "") -> Iterator[Path]:
    """Where there is no git to ask. Links are not followed, so that a loop ends."""
    for base, folders, names in os.walk(folder):
        folders[:] = [one for one in folders if one not in _NOT_OURS and not Path(base, one, "pyvenv.cfg").exists()]
        yield from (Path(base, name) for name in names if (name.endswith(ending) if ending else name in _MARKS))
