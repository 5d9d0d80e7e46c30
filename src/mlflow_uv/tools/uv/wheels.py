"""Builds the local packages of a lock into wheels."""

from pathlib import Path
from urllib.parse import unquote, urlsplit

from ...command.errors import ToolFailed
from ...command.report import Console
from ...core.export.requirements import LocalRequirement
from ...core.model.model_files import wheel_of
from ...core.release.record import WheelLink
from ...payloads.messages.lazy_dataclass import lazy_dataclass
from ..engines.source_snapshot import restored_sources
from ..project.files import Project
from ..system.content import digests_in
from .uv import Uv


@lazy_dataclass
class BuiltWheel:
    """A wheel of a local package, and the folder or file that it was built from."""

    local: LocalRequirement
    source: Path
    wheel: WheelLink


def build_wheels(
    project: Project, local: tuple[LocalRequirement, ...], out: Path, *, uv: Uv, console: Console
) -> tuple[BuiltWheel, ...]:
    """
    Build a wheel of each local package into a new folder; packages that are wheels are copied.

    Source folders are restored after the build. Raises BuildRefused, ToolFailed.
    """
    out.mkdir(parents=True)
    wheels: dict[Path, WheelLink] = {}
    for source in dict.fromkeys(source_of(project, package) for package in local):
        if source.suffix == ".whl":
            (out / source.name).write_bytes(_read(source))
        else:
            with console.group(f"wheel of {source.name}"), restored_sources((source,)):
                uv.build_wheel(project, source, out)
        known = {wheel.file for wheel in wheels.values()}
        (new,) = (
            (path.name, digest) for path, digest in digests_in(out) if path.name not in known and path.suffix == ".whl"
        )
        wheels[source] = wheel_of(*new)
    return tuple(
        BuiltWheel(local=package, source=source, wheel=wheels[source])
        for package in local
        for source in (source_of(project, package),)
    )


def source_of(project: Project, local: LocalRequirement) -> Path:
    """The folder or file of a local requirement: uv exports paths relative to the lock's folder."""
    path = unquote(urlsplit(local.path).path) if local.path.startswith("file:") else local.path
    return project.root / path


def same_content(existing: Path, built: Path) -> bool:
    """Whether two wheels install the same files; not every build backend writes the same bytes twice."""
    from zipfile import BadZipFile  # noqa: PLC0415

    from ..system.archive_content import wheel_content  # noqa: PLC0415

    try:
        return existing.is_file() and wheel_content(existing) == wheel_content(built)
    except (OSError, BadZipFile):
        return False


def _read(source: Path) -> bytes:
    try:
        return source.read_bytes()
    except OSError as error:
        raise ToolFailed(what=f"`{source}` cannot be read", why=error.strerror or str(error)) from error
