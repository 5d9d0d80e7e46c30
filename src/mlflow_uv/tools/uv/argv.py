"""Builds the argument lists of uv's commands."""

from pathlib import Path

from ...command.wording import Wording, option
from ...core.lock.selection import Selection
from ..project.files import Project

EXPORT = ("export", "--frozen", "--no-default-groups", "--no-editable", "--no-annotate", "--no-header")
NEWER = Wording("uv self update, or ", option("uv", "PATH"), " of a newer")
OURS = ("sync", "--frozen", "--no-progress", "--only-group", "registry")


def from_mirror(environment: Path) -> tuple[tuple[str, ...], ...]:
    """Commands that do the same from a mirror of the lock's index, by way of a requirements file with hashes."""
    python, pins = str(environment / "bin" / "python"), str(environment.with_suffix(".txt"))
    return (
        ("export", "--frozen", "--only-group", "registry", "--quiet", "--output-file", pins),
        ("venv", "--no-project", "--no-progress", "--clear", "--relocatable", str(environment)),
        ("pip", "install", "--no-progress", "--no-deps", "--require-hashes", "--python", python, "-r", pins),
    )


def selected(project: Project, selection: Selection) -> tuple[str, ...]:
    """The flags for a selection of the lock; its package is the project unless another one is named."""
    package = selection.package or (project.name if project.named else None)
    flags: list[str] = ["--package", package] if package else []
    for extra in selection.extras:
        flags += ["--extra", extra]
    for group in selection.groups:
        flags += ["--group", group]
    return tuple(flags)


def version_flag(version: str | None) -> tuple[str, ...]:
    """The flag for a version of Python that is known."""
    return ("--python-version", version) if version else ()
