"""Finds the projects whose lock was made from changed files that lie outside of their own folders."""

import os
import re
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

from ...command.errors import BadProject, ToolFailed
from ...command.lazy_pattern import lazy_pattern
from ..git.git import Git
from .files import read_project
from .tree import locked_folders

# A source of a `[[package]]`, as uv writes it on a line of its own.
_LOCAL_SOURCE = lazy_pattern(r'^source = \{ (?:editable|directory|virtual) = "([^"\n]*)"', re.MULTILINE)
_UV_TABLE = lazy_pattern(rb"^\s*\[+\s*tool\s*\.\s*uv\b|^\s*\[\s*tool\s*\]|^\s*tool\s*\.\s*uv\b", re.MULTILINE)
_SETTINGS = frozenset({"uv.toml", "pyproject.toml"})


def dependants(files: Iterable[Path], top: Path, git: Git) -> tuple[Path, ...]:
    """
    The roots of the locked projects in `top` that depend on these changed files outside of them, in path order.

    A lock names the folders whose requirements it contains; the sources of a workspace's root apply to its members.
    Settings of uv are inherited from the nearest folder above that has any.
    """
    changed = tuple(file for file in files if file.name != "uv.lock")
    if not changed:
        return ()
    sources = frozenset(file.parent for file in changed)
    settings = frozenset(file.parent for file in changed if file.name in _SETTINGS and _holds_settings(file, git))
    return tuple(
        folder
        for folder in locked_folders(top, git)
        if (_inherits(folder, settings) or any(source in sources for source in _source_folders(folder)))
        and not _is_member(folder)
    )


def _is_member(folder: Path) -> bool:
    """Whether the lock of a workspace above covers a folder: uv does not read the one beside its manifest."""
    try:
        return read_project(folder).root != folder
    except BadProject:
        return False  # the step reports it


def _source_folders(root: Path) -> Iterator[Path]:
    """Other folders whose manifests a project's lock depends on."""
    try:
        text = (root / "uv.lock").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return
    for address in _LOCAL_SOURCE.findall(text):
        folder = Path(os.path.normpath(root / address))
        if folder == root:
            continue
        yield folder
        if not folder.is_relative_to(root):
            with suppress(BadProject):  # uv reports it if it matters
                yield read_project(folder).root


def _inherits(root: Path, settings: frozenset[Path]) -> bool:
    """Whether uv reads the settings of a project from one of these folders above it."""
    if not any(root != folder and root.is_relative_to(folder) for folder in settings):
        return False
    for folder in (root, *root.parents):
        if folder in settings:
            return folder != root
        if (folder / "uv.toml").is_file() or _has_uv_table(folder / "pyproject.toml"):
            return False
    return False


def _holds_settings(file: Path, git: Git) -> bool:
    """Whether a file has settings of uv, or had them in the last commit, or git cannot read what it had there."""
    if file.name == "uv.toml" or _has_uv_table(file):
        return True
    try:
        before = git.blob(file.parent, "HEAD", file.name)
    except ToolFailed:
        return True
    return _UV_TABLE.search(before or b"") is not None


def _has_uv_table(manifest: Path) -> bool:
    try:
        return _UV_TABLE.search(manifest.read_bytes()) is not None
    except OSError:
        return False
