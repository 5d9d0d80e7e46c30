"""Builds the local packages of a lock into wheels."""

from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

from ...command.errors import ToolFailed
from ...command.report import Console
from ...core.export.requirements import LocalRequirement
from ...core.model.model_files import wheel_of
from ...core.release.record import WheelLink
from ..engines.source_snapshot import as_they_were
from ..project.files import Project
from ..system.content import digests_in, wheel_content
from .uv import Uv


@dataclass(frozen=True, kw_only=True, slots=True)
class Built:
    """A local package as a wheel, and the folder or file that it was made from."""

    local: LocalRequirement
    source: Path
    wheel: WheelLink


def build_wheels(
    project: Project, local: tuple[LocalRequirement, ...], out: Path, *, uv: Uv, console: Console
) -> tuple[Built, ...]:
    """
    Put a wheel of each local package into a new folder; what is one already is copied.

    Source folders are left as they were. Raises ToolFailed.
    """
    out.mkdir(parents=True)
    made: dict[Path, WheelLink] = {}
    for source in dict.fromkeys(source_of(project, one) for one in local):
        if source.suffix == ".whl":
            (out / source.name).write_bytes(_read(source))
        else:
            with console.group(f"wheel of {source.name}"), as_they_were((source,)):
                uv.build_wheel(project, source, out)
        known = {wheel.file for wheel in made.values()}
        (new,) = (
            (path.name, digest) for path, digest in digests_in(out) if path.name not in known and path.suffix == ".whl"
        )
        made[source] = wheel_of(*new)
    return tuple(
        Built(local=one, source=source, wheel=made[source]) for one in local for source in (source_of(project, one),)
    )


def source_of(project: Project, local: LocalRequirement) -> Path:
    """The folder or file that a line of an export names: uv writes paths relative to the lock's folder."""
    path = unquote(urlsplit(local.path).path) if local.path.startswith("file:") else local.path
    return project.root / path


def same_content(there: Path, made: Path) -> bool:
    """Whether a wheel lies there already that installs the same; not every build backend makes the same bytes again."""
    from zipfile import BadZipFile  # noqa: PLC0415  # hooks see few wheels

    try:
        return there.is_file() and wheel_content(there) == wheel_content(made)
    except (OSError, BadZipFile):
        return False


def _read(source: Path) -> bytes:
    try:
        return source.read_bytes()
    except OSError as error:
        raise ToolFailed(what=f"`{source}` cannot be read", why=error.strerror or str(error)) from error
