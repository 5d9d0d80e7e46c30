"""Finds the uv projects below a folder, each once, by the root whose lock covers it."""

import os
from collections.abc import Iterable, Iterator, Sequence
from fnmatch import fnmatchcase
from pathlib import Path

from ...command.errors import BadProject
from ...core.lock.foreign_folders import FOREIGN_FOLDERS
from ..git.git import Git
from .files import Project, UnreadableProject, absolute, read_project, table_of
from .nearest import nearest_project

_PROJECT_FILES = frozenset({"pyproject.toml", "uv.lock"})


def projects_below(folder: Path, git: Git, *, exclude: tuple[str, ...] = ()) -> tuple[Project | UnreadableProject, ...]:
    """
    The roots of the projects in and below a folder, in path order, the folder's own first.

    A project counts if it has a `uv.lock`, `[tool.uv]` or `[tool.mlflow-uv]`; that of the folder itself also with a
    `[project]` table. A manifest that only configures other tools is no project.
    Folders that git ignores, environments, vendored copies and `exclude` (globs of paths below `folder`) are skipped.
    """
    folder = absolute(folder)
    tracked = git.files_below(folder, tuple(f"*{name}" for name in sorted(_PROJECT_FILES)))
    files = _walk(folder) if tracked is None else (file for file in tracked if file.name in _PROJECT_FILES)
    folders = {file.parent for file in files if not is_excluded(file.parent.relative_to(folder).parts, exclude)}
    return tuple(_roots((folder, *sorted(folders - {folder})), start=folder))


def walked(folder: Path) -> Iterator[str]:
    """The paths of all files below a folder without git, with slashes. Links are not followed, so that loops end."""
    for base, folders, names in os.walk(folder):
        parts = Path(base).relative_to(folder).parts
        folders[:] = [name for name in folders if not is_excluded((*parts, name), ())]
        yield from ("/".join((*parts, name)) for name in names)


def script_locks_below(folder: Path, git: Git, *, exclude: tuple[str, ...] = ()) -> tuple[Path, ...]:
    """The locks of scripts (`x.py.lock` beside `x.py`) in and below a folder, in path order; they may be no files."""
    folder = absolute(folder)
    tracked = git.files_below(folder, ("*.py.lock",))
    files = _walk(folder, ".py.lock") if tracked is None else tracked
    return tuple(
        file
        for file in sorted(files)
        if not is_excluded(file.parent.relative_to(folder).parts, exclude) and file.with_suffix("").is_file()
    )


def projects_of(files: Iterable[Path], top: Path) -> tuple[Project | UnreadableProject, ...]:
    """The roots of the projects in `top` that contain the changed files, each once; a file may be in none."""
    folders = {folder: None for file in files if (folder := nearest_project(str(file), str(top))) is not None}
    return tuple(_roots(map(Path, folders), start=top))


def locked_folders(top: Path, git: Git) -> tuple[Path, ...]:
    """The folders in and below `top` with a uv.lock and a manifest, in path order; their contents are not read."""
    tracked = git.files_below(top, ("*uv.lock",))
    files = _walk(top) if tracked is None else tracked
    folders = {file.parent for file in files if file.name == "uv.lock"}
    return tuple(
        folder
        for folder in sorted(folders)
        if not is_excluded(folder.relative_to(top).parts, ()) and (folder / "pyproject.toml").is_file()
    )


def _roots(folders: Iterable[Path], *, start: Path) -> Iterator[Project | UnreadableProject]:
    seen: set[Path] = set()
    for folder in folders:
        try:
            project = read_project(folder)
        except UnreadableProject as error:
            reported = error.path.parent == start or os.path.lexists(error.path.parent / "uv.lock")
            if reported and error.path not in seen:
                seen.add(error.path)
                yield error
        except BadProject:
            continue  # a lock without a project
        else:
            if project.root not in seen and is_managed(project, first=folder == start):
                seen.add(project.root)
                yield project if project.root == project.folder else read_project(project.root)


def is_managed(project: Project, *, first: bool) -> bool:
    """Whether uv manages a project, by its files; the `first` one needs only a `[project]` table."""
    tool_tables = table_of(project.manifest, "tool")
    if table_of(tool_tables, "uv").get("managed") is False:
        return False
    if first and project.named:
        return True
    return os.path.lexists(project.lock) or bool({"uv", "mlflow-uv"} & tool_tables.keys())


def is_excluded(parts: Sequence[str], exclude: tuple[str, ...]) -> bool:
    """Whether the path of a folder, as its parts, is in a foreign folder or matches one of the globs."""
    if FOREIGN_FOLDERS & set(parts):
        return True
    prefixes = ["/".join(parts[:length]) for length in range(1, len(parts) + 1)]
    return any(fnmatchcase(prefix, pattern.strip("/")) for prefix in prefixes for pattern in exclude)


def _walk(folder: Path, ending: str = "") -> Iterator[Path]:
    """Files below a folder without git. Links are not followed, so that loops end."""
    for base, folders, names in os.walk(folder):
        folders[:] = [
            name for name in folders if name not in FOREIGN_FOLDERS and not Path(base, name, "pyvenv.cfg").exists()
        ]
        yield from (Path(base, name) for name in names if (name.endswith(ending) if ending else name in _PROJECT_FILES))
