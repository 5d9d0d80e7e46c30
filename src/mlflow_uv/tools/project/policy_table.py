"""Reads the table of a policy from the manifest of a project."""

import os
from collections.abc import Mapping
from pathlib import Path

from ...command.errors import BadInput
from ...core.lock.toml_lines import key_lines
from ...core.policy.table import PolicyTable
from .files import Project


def policy_table(project: Project, name: str, *, where: Path) -> PolicyTable:
    """`[tool.mlflow-uv.NAME]` of a project, empty if it has none; messages name its file relative to `where`."""
    return _table(project, name, project.settings.get(name, {}), where)


def policy_tables(project: Project, name: str, *, where: Path) -> Mapping[str, PolicyTable]:
    """Every `[tool.mlflow-uv.NAME.OTHER]` by its other name. Raises BadInput if `NAME` is not a table."""
    outer = project.settings.get(name, {})
    if not isinstance(outer, dict):
        raise BadInput(what=f"`{name}` in [tool.mlflow-uv] is not a table", why=f"it is {outer!r}")
    return {other: _table(project, f"{name}.{other}", value, where) for other, value in outer.items()}


def _table(project: Project, name: str, value: object, where: Path) -> PolicyTable:
    manifest = project.folder / "pyproject.toml"
    return PolicyTable(
        name=name,
        value=value,
        lines=key_lines(manifest.read_text(encoding="utf-8")) if value != {} else {},
        manifest=manifest,
        shown=os.path.relpath(manifest, where),
    )
