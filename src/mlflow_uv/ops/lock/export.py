"""Renders the files of an export, and reports what makes them impossible to write."""

import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import field
from pathlib import Path
from tempfile import TemporaryDirectory

from ...command.errors import BadInput, BadProject, ToolFailed
from ...command.report import Finding, Severity
from ...command.wording import Wording, extended, option, without
from ...core.export.indexes import Index, UsedIndex, declared_indexes, option_lines, registries, used_indexes
from ...core.export.portability import (
    LocalPackages,
    LocalWheel,
    LockSource,
    credential_findings,
    index_findings,
    local_findings,
    unhashed_findings,
)
from ...core.export.pylock import PathReplacements, pins_of_pylock, render_pylock
from ...core.export.requirements import LocalRequirement, Pin, Requirements
from ...core.image.sbom import pins_of_sbom, render_sbom
from ...core.lock.lockfile import Lockfile, NotALock, SourceKind, read_lockfile
from ...core.lock.markers import holds
from ...core.lock.version_ranges import in_range
from ...core.release.digests import sha256
from ...core.release.package_changes import pins_of_requirements
from ...payloads.messages.lazy_dataclass import lazy_dataclass
from ...tools.lock_toolbox import LockTools
from ...tools.project.files import Project, read_manifest, table_of
from ...tools.uv.settings import settings_of

WHEELS = "wheels"
_FOLDERS = frozenset({SourceKind.EDITABLE, SourceKind.DIRECTORY, SourceKind.VIRTUAL})


@lazy_dataclass
class ExportRequest:
    """What to export, to files with absolute paths; `command` repeats the export."""

    project: Project
    requirements_file: Path | None
    pylock_file: Path | None
    sbom_file: Path | None
    silent: bool
    hashes: bool
    local_packages: LocalPackages
    environment: Mapping[str, str] | None
    command: str

    @property
    def printed(self) -> bool:
        """Whether requirements go to standard output."""
        return not (self.silent or self.filed)

    @property
    def filed(self) -> bool:
        """Whether a file is requested."""
        return bool(self.requirements_file or self.pylock_file or self.sbom_file)

    @property
    def listed(self) -> bool:
        """Whether pip requirements are requested, printed or as a file."""
        return self.printed or self.requirements_file is not None


@lazy_dataclass
class UvExport:
    """The exports of uv: requirements, and the other formats if they are requested."""

    requirements: Requirements
    pylock: str | None = None
    sbom: str | None = None


@lazy_dataclass
class Document:
    """A file of an export, and the parser of the packages in it."""

    path: Path
    text: str
    pins_of: Callable[[str], tuple[Pin, ...]]


@lazy_dataclass
class Lists:
    """The files of an export with their wheels, or the text to print; both empty if a finding is an error."""

    documents: tuple[Document, ...] = ()
    wheels: Mapping[Path, bytes] = field(default_factory=dict)
    printed: str | None = None
    findings: tuple[Finding, ...] = ()


@lazy_dataclass
class Context:
    """What an export depends on besides its pins; empty if `locked` is None."""

    indexes: tuple[Index, ...] = ()
    used: tuple[UsedIndex, ...] = ()
    locked: LockSource | None = None


def make_lists(request: ExportRequest, exported: UvExport, tools: LockTools) -> Lists:
    """
    Render all formats in their normal form, with wheels for local packages if requested; nothing is written yet.

    Raises BadProject for an unreadable lock, ToolFailed for unreadable output of uv.
    """
    if not (request.printed or request.filed):
        return Lists()
    requirements = (
        exported.requirements if request.environment is None else exported.requirements.resolved_in(request.environment)
    )
    context = _context(request, requirements)
    findings = tuple(_findings(request, requirements, context))
    if any(finding.severity is Severity.ERROR for finding in findings):
        return Lists(findings=findings)
    wheels = _wheels(request, requirements, tools) if request.local_packages is LocalPackages.WHEELS else ()
    documents = []
    if request.requirements_file is not None:
        text = _text(request, requirements, context, wheels, request.requirements_file.parent)
        documents.append(Document(path=request.requirements_file, text=text, pins_of=pins_of_requirements))
    if request.pylock_file is not None:
        text = _pylock(request.pylock_file.parent, request, exported, context, wheels)
        documents.append(Document(path=request.pylock_file, text=text, pins_of=pins_of_pylock))
    if request.sbom_file is not None and exported.sbom is not None:
        text = _rendered(lambda raw: render_sbom(raw, environment=request.environment, licences={}), exported.sbom)
        documents.append(Document(path=request.sbom_file, text=text, pins_of=pins_of_sbom))
    return Lists(
        documents=tuple(documents),
        wheels={Path(wheel.path): wheel.data for wheel in wheels},
        printed=_text(request, requirements, context, (), request.project.folder) if request.printed else None,
        findings=findings,
    )


def _context(request: ExportRequest, requirements: Requirements) -> Context:
    """Read the lock only if the export depends on it: reading takes longer than uv takes to export."""
    indexes = _own_indexes(request.project)
    data = _bytes(request.project.lock)
    direct = any(pin.version is None for pin in requirements.pins)
    unhashed = request.hashes and not requirements.hashed
    reasons = (indexes, requirements.local, direct, request.pylock_file, unhashed, request.environment)
    if not any(reasons) and len(registries(data)) <= 1:
        return Context()
    try:
        locked = LockSource(path=request.project.lock, data=data, lock=read_lockfile(data))
    except NotALock as error:
        raise BadProject(what=f"`{request.project.lock}` cannot be read", why=f"line {error.line}: {error}") from error
    if request.environment is not None:
        _require_covered(request.environment, locked.lock)
    indexes = (*indexes, *_members_indexes(request.project, locked.lock))
    return Context(indexes=indexes, used=used_indexes(requirements, locked.lock, indexes), locked=locked)


def _require_covered(environment: Mapping[str, str], lock: Lockfile) -> None:
    """Raise BadInput for a Python or platform that the lock does not cover: its markers do not apply there."""
    if not in_range(environment["python_full_version"], lock.requires_python):
        raise BadInput(
            what="the lock does not cover this target", why=f"its `requires-python` is {lock.requires_python!r}"
        )
    markers = lock.supported_markers
    if markers and not any(holds(marker, environment) for marker in markers):
        raise BadInput(what="the lock does not cover this target", why=f"its `environments` are {', '.join(markers)}")


def _findings(request: ExportRequest, requirements: Requirements, context: Context) -> Iterator[Finding]:
    locked = context.locked
    if locked is None:
        return
    yield from credential_findings(requirements, locked)
    if request.listed or request.pylock_file:
        # Printed requirements have no folder for wheels.
        refused = request.printed and request.local_packages is LocalPackages.WHEELS
        choice = LocalPackages.REFUSE if refused else request.local_packages
        command = extended(request.command, requirements_file="FILE") if request.printed else request.command
        fix = Wording(extended(command, local_packages="wheels"), ", or ", option("local-packages", "omit"))
        yield from local_findings(requirements, locked, choice, fix=fix)
    if request.listed:
        yield from index_findings(
            requirements, context.used, locked, hashes=request.hashes, fix=extended(request.command, hashes=True)
        )
    if request.listed and request.hashes:
        wheels = request.local_packages is LocalPackages.WHEELS
        yield from unhashed_findings(requirements, locked, wheels=wheels, fix=_with_every_hash(request))


def _with_every_hash(request: ExportRequest) -> str:
    """Return the command for a pylock.toml instead: uv downloads files without a hash to compute it."""
    command = without(request.command, "requirements-file", "hashes", "target")
    return command if request.pylock_file else extended(command, pylock_file="pylock.toml")


# rendering


def _text(
    request: ExportRequest, requirements: Requirements, context: Context, wheels: tuple[LocalWheel, ...], folder: Path
) -> str:
    """Return a requirements file for that folder: options, pins and wheels, one per line."""
    beside = Path(os.path.relpath(request.project.root, folder)).as_posix()
    options = option_lines(context.used, context.indexes, beside=beside)
    local_lines = [wheel.requirement for wheel in wheels if wheel.path.parent.parent == folder]
    lines: list[Pin | LocalRequirement] = [*requirements.pins, *local_lines]
    lines_of_file = (*options, *(line.hashed_line if request.hashes else line.line for line in lines))
    return "".join(f"{line}\n" for line in lines_of_file)


def _pylock(
    folder: Path, request: ExportRequest, exported: UvExport, context: Context, wheels: tuple[LocalWheel, ...]
) -> str:
    assert context.locked is not None  # noqa: S101  # a pylock.toml always depends on the lock
    assert exported.pylock is not None  # noqa: S101  # it was requested

    project, lock = request.project, context.locked.lock
    folders = {
        (project.root / path).resolve().as_uri(): Path(os.path.relpath(project.root / path, folder)).as_posix()
        for path in {package.source.address for package in lock.packages if package.source.kind is SourceKind.REGISTRY}
        if "://" not in path and not Path(path).is_absolute()
    }
    local: dict[str, LocalWheel | None] = dict.fromkeys(map(context.locked.name_of, exported.requirements.local))
    local |= {wheel.name: wheel for wheel in wheels if wheel.path.parent.parent == folder}
    return _rendered(lambda raw: render_pylock(raw, PathReplacements(wheels=local, folders=folders)), exported.pylock)


def _rendered(render: Callable[[str], str], raw: str) -> str:
    try:
        return render(raw)
    except (ValueError, KeyError, TypeError) as error:
        why = f"{type(error).__name__}: {error}"
        raise ToolFailed(what="the output of `uv export` cannot be read", why=why) from error


# dependencies


def _wheels(request: ExportRequest, requirements: Requirements, tools: LockTools) -> tuple[LocalWheel, ...]:
    folders = dict.fromkeys(
        file.parent for file in (request.requirements_file, request.pylock_file) if file is not None
    )
    if not requirements.local or not folders:
        return ()
    from ...tools.uv.wheels import build_wheels, same_content  # noqa: PLC0415

    wheels = []
    with TemporaryDirectory(prefix="mlflow-uv-") as scratch:
        built = build_wheels(
            request.project, requirements.local, Path(scratch) / WHEELS, uv=tools.uv, console=tools.console
        )
        for built_wheel in sorted(built, key=lambda item: (item.wheel.file, item.local.marker)):
            built_file = Path(scratch) / WHEELS / built_wheel.wheel.file
            for folder in folders:
                existing = folder / WHEELS / built_file.name
                # A wheel with the same content is kept: not every build backend is reproducible.
                data = (existing if same_content(existing, built_file) else built_file).read_bytes()
                wheel = LocalWheel(
                    local=built_wheel.local,
                    name=built_wheel.wheel.name,
                    version=built_wheel.wheel.version,
                    path=existing,
                    sha256=sha256(data),
                    data=data,
                )
                wheels.append(wheel)
    return tuple(wheels)


def _own_indexes(project: Project) -> tuple[Index, ...]:
    """Return the indexes in the uv settings of the project, which may be in a parent folder, and of a member."""
    settings = settings_of(project.root)
    indexes: tuple[Index, ...] = ()
    if settings is not None:
        place = Path(os.path.relpath(settings.path.parent, project.root)).as_posix()
        indexes = declared_indexes(settings.table, folder=place)
    if project.root != project.folder:
        folder = Path(os.path.relpath(project.folder, project.root)).as_posix()
        indexes = (*indexes, *declared_indexes(table_of(project.manifest, "tool", "uv"), folder=folder))
    return indexes


def _members_indexes(project: Project, lock: Lockfile) -> Iterator[Index]:
    """Yield the indexes in the manifests of other local packages."""
    for package in lock.packages:
        manifest = project.root / package.source.address / "pyproject.toml"
        if package.source.kind in _FOLDERS and manifest.parent != project.folder and manifest.is_file():
            yield from declared_indexes(table_of(read_manifest(manifest), "tool", "uv"), folder=package.source.address)


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise BadProject(what=f"`{path}` cannot be read", why=error.strerror or str(error)) from error
