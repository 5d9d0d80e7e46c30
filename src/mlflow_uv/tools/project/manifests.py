"""Finds the manifests that a lock depends on, and the line of a key in them."""

import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from ...command.errors import BadProject
from ...core.freshness.causes import ManifestPlace
from ...core.freshness.declared import ProjectManifest, Workspace
from ...core.lock.lockfile import Lockfile
from ...core.lock.toml_lines import key_lines, line_at
from ..uv.settings import settings_of
from .files import Project, members, read_manifest, read_project


def read_workspace(project: Project, lock: Lockfile | None) -> Workspace:
    """Everything that the lock of a project is made from, as far as there is one. Raises Unreadable, BadProject."""
    top = project if project.folder == project.root else read_project(project.root)
    root = _manifest(top.root, top.root / "pyproject.toml")
    inside = tuple(_manifest(top.root, one.folder / "pyproject.toml") for one in members(top))
    known = {root.folder, *(one.folder for one in inside)}
    neighbours = []
    for package in lock.packages if lock else ():
        folder = os.path.normpath(top.root / package.source.address)
        if package.source.kind.local and folder not in known:
            known.add(folder)
            with suppress(BadProject):  # a wheel, or a folder that is not there: uv says so if it matters
                neighbours.append(_manifest(top.root, Path(folder) / "pyproject.toml"))
    settings = settings_of(top.root)  # its own, or of a folder above
    return Workspace(
        root=root,
        members=(*((root,) if top.named else ()), *inside),
        neighbours=tuple(neighbours),
        settings=root if settings is None else _manifest(top.root, settings.path),
        options=("tool", "uv") if settings is None else settings.keys,
    )


def _manifest(root: Path, path: Path) -> ProjectManifest:
    file = os.path.relpath(path, root).replace(os.sep, "/")
    return ProjectManifest(file=file, folder=str(path.parent), table=read_manifest(path))


class Lines:
    """The lines of the files below the lock's folder, each file read once."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._known: dict[str, Mapping[tuple[str | int, ...], int]] = {}

    def at(self, place: ManifestPlace) -> int:
        """The 1-based line of a place, or of what is around it; 1 where it cannot be read."""
        if place.file not in self._known:
            try:
                self._known[place.file] = key_lines((self._root / place.file).read_text(encoding="utf-8"))
            except (OSError, UnicodeDecodeError):
                self._known[place.file] = {}
        return line_at(self._known[place.file], place.path)
