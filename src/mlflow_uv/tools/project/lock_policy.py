"""Which policy does a manifest hold?"""

import os
from pathlib import Path

from ...core.policy.policy import PolicySource, read_policy
from .files import Project


def ruling_of(project: Project, *, where: Path) -> PolicySource:
    """The policy of a project that has one. Raises BadInput: the key, its line, and its file as seen from `where`."""
    path = project.folder / "pyproject.toml"
    text, shown = path.read_text(encoding="utf-8"), os.path.relpath(path, where)
    return read_policy(project.settings["policy"], text=text, manifest=path, shown=shown)
