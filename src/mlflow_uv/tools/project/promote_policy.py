"""Reads the promotion policy of a project from its manifest."""

import os
from pathlib import Path

from ...core.promotion.promote_policy import PromotePolicy, Promotion, read_promotion
from .files import Project


def promotion_of(project: Project, *, where: Path) -> Promotion:
    """The promotion policy of a project, the default if it has none. Raises BadInput with key, line and file."""
    path = project.folder / "pyproject.toml"
    if "promote" not in project.settings:
        return Promotion(policy=PromotePolicy(), gates=(), manifest=path, line=1, lines={})
    text, shown = path.read_text(encoding="utf-8"), os.path.relpath(path, where)
    return read_promotion(project.settings["promote"], text=text, manifest=path, shown=shown)
