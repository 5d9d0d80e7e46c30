"""Reads the lock policy of a project from its manifest."""

import os
from pathlib import Path

from ...core.policy.policy import PolicySource, read_policy
from .files import Project


def lock_policy_of(project: Project, *, where: Path) -> PolicySource:
    """The lock policy of a project that has one. Raises BadInput with key, line, and file relative to `where`."""
    path = project.folder / "pyproject.toml"
    text, shown = path.read_text(encoding="utf-8"), os.path.relpath(path, where)
    return read_policy(project.settings["policy"], text=text, manifest=path, shown=shown)
