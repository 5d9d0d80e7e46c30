"""What does a manifest ask of a version before it is promoted?"""

import os
from pathlib import Path

from ...core.promotion.promote_policy import PromotePolicy, Promotion, read_promotion
from .files import Project


def promotion_of(project: Project, *, where: Path) -> Promotion:
    """What a project asks, nothing if it says nothing. Raises BadInput: key, line, and file as seen from `where`."""
    path = project.folder / "pyproject.toml"
    if "promote" not in project.settings:
        return Promotion(policy=PromotePolicy(), gates=(), manifest=path, line=1, lines={})
    text, shown = path.read_text(encoding="utf-8"), os.path.relpath(path, where)
    return read_promotion(project.settings["promote"], text=text, manifest=path, shown=shown)
