"""Reads the table of a policy from the manifest of a project."""

import os
from pathlib import Path

from ...core.lock.toml_lines import key_lines
from ...core.policy.table import PolicyTable
from .files import Project


def policy_table(project: Project, name: str, *, where: Path) -> PolicyTable:
    """`[tool.mlflow-uv.NAME]` of a project, empty if it has none; messages name its file relative to `where`."""
    manifest = project.folder / "pyproject.toml"
    return PolicyTable(
        name=name,
        value=project.settings.get(name, {}),
        lines=key_lines(manifest.read_text(encoding="utf-8")) if name in project.settings else {},
        manifest=manifest,
        shown=os.path.relpath(manifest, where),
    )
