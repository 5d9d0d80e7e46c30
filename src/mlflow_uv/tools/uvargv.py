"""Builds the argument lists of uv's commands."""

from pathlib import Path

from ..core.selection import Selection
from .files import Project

EXPORT = ("export", "--frozen", "--no-default-groups", "--no-editable", "--no-annotate", "--no-header")
OURS = ("sync", "--frozen", "--no-progress", "--only-group", "registry")


def from_mirror(environment: Path, pins: Path) -> tuple[tuple[str, ...], ...]:
    """What makes the same of an index that stands for the lock's, by way of a list with hashes."""
    python = str(environment / "bin" / "python")
    return (
        ("export", "--frozen", "--only-group", "registry", "--quiet", "--output-file", str(pins)),
        ("venv", "--no-project", "--no-progress", "--clear", str(environment)),
        ("pip", "install", "--no-progress", "--no-deps", "--require-hashes", "--python", python, "-r", str(pins)),
    )


def selected(project: Project, selection: Selection) -> tuple[str, ...]:
    """The flags for a part of the lock: of the project itself where no other package is named."""
    package = selection.package or (project.name if project.named else None)
    flags: list[str] = ["--package", package] if package else []
    for extra in selection.extras:
        flags += ["--extra", extra]
    for group in selection.groups:
        flags += ["--group", group]
    return tuple(flags)
