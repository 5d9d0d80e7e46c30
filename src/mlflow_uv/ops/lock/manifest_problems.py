"""Finds the place and the fix for a manifest that uv cannot use, from the error message of uv."""

import os
import re
from pathlib import Path
from typing import NamedTuple
from urllib.parse import unquote, urlsplit

from ...command.lazy_pattern import lazy_pattern
from ...core.freshness.causes import Cause, ManifestPlace
from ...core.freshness.declared_requirements import ProjectManifest, Workspace, declared_requirements
from ...core.lock.package_names import canonicalize_name
from ...tools.project.files import Project
from ...tools.project.manifests import ManifestLines, read_workspace
from ...tools.uv.messages import LockVerdict

_TWICE = lazy_pattern(r"^error: Two workspace members are both named `([^`]+)`: `([^`]+)` and `([^`]+)`", re.MULTILINE)
_NO_PROJECT = lazy_pattern(r"^error: No `project` table found in: `?([^`\n]+?)`?$", re.MULTILINE)
_LEFT_BEHIND = lazy_pattern(r"^error: Workspace member `([^`]+)` is missing a .*matches: `([^`]+)`", re.MULTILINE)
_GROUPS = lazy_pattern(r"^error: Project `([^`]+)` has malformed dependency groups\n\s+cause: (.+)$", re.MULTILINE)
_NOT_THERE = lazy_pattern(r"Distribution not found at: (file:\S+)")
_NO_PYTHON = lazy_pattern(r"`([^`\n]+)` does not appear to be a Python project")


class ManifestFault(NamedTuple):
    """An error in a manifest with its file and line, and the fix."""

    what: str
    why: str
    fix: str
    path: Path
    line: int


def manifest_fault(verdict: LockVerdict, project: Project, uv_lock: str) -> ManifestFault | None:
    """Return the fault in uv's error message, None if it is not a known one. Raises Unreadable, BadProject."""
    match verdict.cause:
        case Cause.MEMBER:
            return _same_name(verdict, project) or _no_project(verdict, project) or _left_behind(verdict, project)
        case Cause.UNMANAGED:
            return _unmanaged(project, uv_lock)
        case Cause.GROUP:
            return _group(verdict, project, uv_lock)
        case Cause.SOURCE:
            return _source(verdict, project, uv_lock)
    return None


def _same_name(verdict: LockVerdict, project: Project) -> ManifestFault | None:
    match = _TWICE.search(verdict.words)
    if match is None:
        return None
    name, first, second = match.groups()
    path = Path(second) / "pyproject.toml"
    return ManifestFault(
        what=f"`{name}` is the name of two workspace members",
        why=f"`{_seen(first, project)}` and `{_seen(second, project)}` both have it",
        fix=f'rename one of them, or add `exclude = ["{_seen(second, project)}"]` to [tool.uv.workspace]',
        path=path,
        line=_line(path, "project", "name"),
    )


def _no_project(verdict: LockVerdict, project: Project) -> ManifestFault | None:
    match = _NO_PROJECT.search(verdict.words)
    if match is None:
        return None
    folder = _seen(Path(match[1]).parent, project)
    path = project.root / "pyproject.toml"
    return ManifestFault(
        what=f"`{folder}` is a workspace member, but not a project",
        why="its pyproject.toml has no [project] table",
        fix=f'add one there, or `exclude = ["{folder}"]` to [tool.uv.workspace]',
        path=path,
        line=_line(path, "tool", "uv", "workspace", "members"),
    )


def _left_behind(verdict: LockVerdict, project: Project) -> ManifestFault | None:
    match = _LEFT_BEHIND.search(verdict.words)
    if match is None:
        return None
    folder = _seen(match[1], project)
    path = project.root / "pyproject.toml"
    return ManifestFault(
        what=f"`{folder}` matches `{match[2]}`, but is not a project",
        why="it has no pyproject.toml; it may be left over from a removed member",
        fix=f'remove the folder, or add `exclude = ["{folder}"]` to [tool.uv.workspace]',
        path=path,
        line=_line(path, "tool", "uv", "workspace", "members"),
    )


def _unmanaged(project: Project, uv_lock: str) -> ManifestFault:
    path = project.root / "pyproject.toml"
    line = _line(path, "tool", "uv", "managed")
    return ManifestFault(
        what="uv does not manage this project",
        why="[tool.uv] sets `managed = false`",
        fix=f"remove line {line} of pyproject.toml, then `{uv_lock}`",
        path=path,
        line=line,
    )


def _group(verdict: LockVerdict, project: Project, uv_lock: str) -> ManifestFault | None:
    match = _GROUPS.search(verdict.words)
    if match is None:
        return None
    name, reason = match.groups()
    group = re.search(r"`([^`]+)`(?: ->|$)", reason) or re.search(r": `?([\w.-]+)", reason)
    manifest = _manifest_of(canonicalize_name(name), read_workspace(project, None))
    tables = manifest.table_at("dependency-groups")
    keys = [key for key in tables if group and canonicalize_name(key) == canonicalize_name(group[1])]
    path = Path(manifest.folder) / "pyproject.toml"
    line = _line(path, "dependency-groups", *keys[:1])
    return ManifestFault(
        what="[dependency-groups] cannot be used",
        why=reason.strip(),
        fix=f"correct line {line} of {manifest.file}, then `{uv_lock}`",
        path=path,
        line=line,
    )


def _source(verdict: LockVerdict, project: Project, uv_lock: str) -> ManifestFault | None:
    missing_folder, not_a_project = _NOT_THERE.search(verdict.words), _NO_PYTHON.search(verdict.words)
    if missing_folder is None and not_a_project is None:
        return None
    folder = unquote(urlsplit(missing_folder[1]).path) if missing_folder else not_a_project[1] if not_a_project else ""
    workspace = read_workspace(project, None)
    name, owner, keys = _requirement_from(folder, workspace)
    address = _seen(folder, project)
    path = Path(owner.folder) / "pyproject.toml"
    line = _line(path, *keys)
    return ManifestFault(
        what=f"`{name}` is not at the path in {owner.file}"
        if name
        else f"{owner.file} names a folder that cannot be used",
        why=f"`{address}` does not exist" if missing_folder else f"`{address}` is not a Python project",
        fix=f"correct line {line} of {owner.file}, then `{uv_lock}`",
        path=path,
        line=line,
    )


def _requirement_from(folder: str, workspace: Workspace) -> tuple[str, ProjectManifest, tuple[str | int, ...]]:
    """Return the requirement that comes from a folder, its manifest, and the keys that hold the folder."""
    real = os.path.realpath(folder)
    for manifest in (*workspace.members, workspace.root):
        for requirement in (
            declared_requirement
            for listed in declared_requirements(manifest, workspace).scopes.values()
            for declared_requirement in listed
        ):
            if requirement.origin.kind != "path" or os.path.realpath(requirement.origin.address) != real:
                continue
            if requirement.name in manifest.sources:
                return requirement.name, manifest, ("tool", "uv", "sources", manifest.sources[requirement.name][0])
            if requirement.name in workspace.root.sources:
                keys = ("tool", "uv", "sources", workspace.root.sources[requirement.name][0])
                return requirement.name, workspace.root, keys
            return requirement.name, manifest, requirement.place.path
    return "", workspace.root, ("tool", "uv", "sources")


def _manifest_of(name: str, workspace: Workspace) -> ProjectManifest:
    return next((manifest for manifest in workspace.members if manifest.name == name), workspace.root)


def _seen(folder: str | Path, project: Project) -> str:
    return Path(os.path.relpath(folder, project.root)).as_posix()


def _line(path: Path, *keys: str | int) -> int:
    return ManifestLines(path.parent).at(ManifestPlace(path.name, keys))
