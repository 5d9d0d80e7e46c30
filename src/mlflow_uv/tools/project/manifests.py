"""Finds the manifests that a lock depends on, and the line of a key in them."""

import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from ...command.errors import BadProject
from ...core.freshness.causes import ManifestPlace
from ...core.freshness.declared_requirements import ProjectManifest, Workspace
from ...core.lock.lockfile import Lockfile
from ...core.lock.toml_lines import key_lines, line_at
from ..uv.settings import settings_of
from .files import Project, members, read_manifest, read_project


def read_workspace(project: Project, lock: Lockfile | None) -> Workspace:
    """All manifests and settings that a project's lock depends on. Raises UnreadableProject, BadProject."""
    top = project if project.folder == project.root else read_project(project.root)
    root = _manifest(top.root, top.root / "pyproject.toml")
    member_manifests = tuple(_manifest(top.root, member.folder / "pyproject.toml") for member in members(top))
    folders = {root.folder, *(member.folder for member in member_manifests)}
    neighbours = []
    for package in lock.packages if lock else ():
        folder = os.path.normpath(top.root / package.source.address)
        if package.source.kind.local and folder not in folders:
            folders.add(folder)
            with suppress(BadProject):  # a wheel or a missing folder: uv reports it if it matters
                neighbours.append(_manifest(top.root, Path(folder) / "pyproject.toml"))
    settings = settings_of(top.root)  # of the root, or of a folder above it
    return Workspace(
        root=root,
        members=(*((root,) if top.named else ()), *member_manifests),
        neighbours=tuple(neighbours),
        settings=root if settings is None else _manifest(top.root, settings.path),
        options=("tool", "uv") if settings is None else settings.keys,
    )


def _manifest(root: Path, path: Path) -> ProjectManifest:
    file = os.path.relpath(path, root).replace(os.sep, "/")
    return ProjectManifest(file=file, folder=str(path.parent), table=read_manifest(path))


class ManifestLines:
    """Line numbers in files below the lock's folder; each file is read once."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._lines_by_file: dict[str, Mapping[tuple[str | int, ...], int]] = {}

    def at(self, place: ManifestPlace) -> int:
        """The line (1-based) of a place, or of the nearest table around it; 1 for an unreadable file."""
        if place.file not in self._lines_by_file:
            try:
                self._lines_by_file[place.file] = key_lines((self._root / place.file).read_text(encoding="utf-8"))
            except (OSError, UnicodeDecodeError):
                self._lines_by_file[place.file] = {}
        return line_at(self._lines_by_file[place.file], place.path)
