"""What do the files of an export say, and what keeps them from being written?"""

import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ...command.errors import BadInput, BadProject, ToolFailed
from ...command.report import Finding, Severity
from ...command.wording import Wording, extended, option, without
from ...core.export.indexes import Index, UsedIndex, declared, option_lines, registries, used_indexes
from ...core.export.portability import (
    LocalPackages,
    LocalWheel,
    LockSource,
    credential_findings,
    index_findings,
    local_findings,
    unhashed_findings,
)
from ...core.export.requirements import LocalRequirement, Pin, Requirements, holds
from ...core.lock.lockfile import Lockfile, NotALock, SourceKind, read_lockfile
from ...core.release.digests import sha256
from ...core.release.package_changes import pins_of_requirements
from ...tools.lock_toolbox import LockTools
from ...tools.project.files import Project, read_manifest, table_of
from ...tools.uv.settings import settings_of

WHEELS = "wheels"
_FOLDERS = frozenset({SourceKind.EDITABLE, SourceKind.DIRECTORY, SourceKind.VIRTUAL})


@dataclass(frozen=True, kw_only=True, slots=True)
class ExportRequest:
    """What is wanted of a lock, in files with absolute paths; `command` asks for it again."""

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
        """Whether requirements are wanted that no file takes."""
        return not (self.silent or self.filed)

    @property
    def filed(self) -> bool:
        """Whether a file is wanted."""
        return bool(self.requirements_file or self.pylock_file or self.sbom_file)

    @property
    def listed(self) -> bool:
        """Whether requirements are wanted at all."""
        return self.printed or self.requirements_file is not None


@dataclass(frozen=True, kw_only=True, slots=True)
class UvExport:
    """What uv says of the lock: requirements, and the other formats as it writes them, where they are wanted."""

    requirements: Requirements
    pylock: str | None = None
    sbom: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Document:
    """A file of an export, and how the packages in it are read again."""

    path: Path
    text: str
    pins_of: Callable[[str], tuple[Pin, ...]]


@dataclass(frozen=True, kw_only=True, slots=True)
class Lists:
    """The files of an export with the wheels beside them, or the list to print; nothing where a finding is an error."""

    documents: tuple[Document, ...] = ()
    wheels: Mapping[Path, bytes] = field(default_factory=dict)
    printed: str | None = None
    findings: tuple[Finding, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Context:
    """What a list depends on beside its pins. Without `locked` nothing in it does."""

    indexes: tuple[Index, ...] = ()
    used: tuple[UsedIndex, ...] = ()
    locked: LockSource | None = None


def make_lists(wish: ExportRequest, said: UvExport, tools: LockTools) -> Lists:
    """
    Say it all in one normal form, with wheels for local packages where they are wanted; nothing is written yet.

    Raises BadProject for a lock that cannot be read, ToolFailed for words of uv that cannot.
    """
    if not (wish.printed or wish.filed):
        return Lists()
    chosen = said.requirements if wish.environment is None else said.requirements.resolved_in(wish.environment)
    context = _context(wish, chosen)
    findings = tuple(_findings(wish, chosen, context))
    if any(finding.severity is Severity.ERROR for finding in findings):
        return Lists(findings=findings)
    wheels = _wheels(wish, chosen, tools) if wish.local_packages is LocalPackages.WHEELS else ()
    documents = []
    if wish.requirements_file is not None:
        text = _text(wish, chosen, context, wheels, wish.requirements_file.parent)
        documents.append(Document(path=wish.requirements_file, text=text, pins_of=pins_of_requirements))
    if wish.pylock_file is not None:
        from ...core.export.pylock import pins_of_pylock  # noqa: PLC0415  # 8 ms that a list does not pay

        text = _pylock(wish.pylock_file.parent, wish, said, context, wheels)
        documents.append(Document(path=wish.pylock_file, text=text, pins_of=pins_of_pylock))
    if wish.sbom_file is not None and said.sbom is not None:
        from ...core.image.sbom import pins_of_sbom, render_sbom  # noqa: PLC0415  # 5 ms that most exports do not pay

        text = _sayable(lambda raw: render_sbom(raw, environment=wish.environment), said.sbom)
        documents.append(Document(path=wish.sbom_file, text=text, pins_of=pins_of_sbom))
    return Lists(
        documents=tuple(documents),
        wheels={Path(wheel.path): wheel.data for wheel in wheels},
        printed=_text(wish, chosen, context, (), wish.project.folder) if wish.printed else None,
        findings=findings,
    )


def _context(wish: ExportRequest, chosen: Requirements) -> Context:
    """Read the lock where a list depends on it: that takes longer than uv takes to export it."""
    indexes = _own_indexes(wish.project)
    data = _bytes(wish.project.lock)
    direct = any(pin.version is None for pin in chosen.pins)
    unhashed = wish.hashes and not chosen.hashed
    asks = (indexes, chosen.local, direct, wish.pylock_file, unhashed, wish.environment)
    if not any(asks) and len(registries(data)) <= 1:
        return Context()
    try:
        locked = LockSource(path=wish.project.lock, data=data, lock=read_lockfile(data))
    except NotALock as error:
        raise BadProject(what=f"`{wish.project.lock}` cannot be read", why=f"line {error.line}: {error}") from error
    if wish.environment is not None:
        _require_covered(wish.environment, locked.lock)
    indexes = (*indexes, *_members_indexes(wish.project, locked.lock))
    return Context(indexes=indexes, used=used_indexes(chosen, locked.lock, indexes), locked=locked)


def _require_covered(environment: Mapping[str, str], lock: Lockfile) -> None:
    """A lock's markers say nothing of a Python or platform that it was not made for. Raises BadInput."""
    from packaging.specifiers import SpecifierSet  # noqa: PLC0415  # only for a target

    python = environment["python_full_version"]
    if not SpecifierSet(lock.requires_python).contains(python, prereleases=True):
        raise BadInput(
            what="the lock does not cover this target", why=f"its `requires-python` is {lock.requires_python!r}"
        )
    markers = lock.supported_markers
    if markers and not any(holds(marker, environment) for marker in markers):
        raise BadInput(what="the lock does not cover this target", why=f"its `environments` are {', '.join(markers)}")


def _findings(wish: ExportRequest, chosen: Requirements, context: Context) -> Iterator[Finding]:
    locked = context.locked
    if locked is None:
        return
    yield from credential_findings(chosen, locked)
    if wish.listed or wish.pylock_file:
        # What is printed has no folder beside it.
        refused = wish.printed and wish.local_packages is LocalPackages.WHEELS
        choice = LocalPackages.REFUSE if refused else wish.local_packages
        command = extended(wish.command, requirements_file="FILE") if wish.printed else wish.command
        fix = Wording(extended(command, local_packages="wheels"), ", or ", option("local-packages", "omit"))
        yield from local_findings(chosen, locked, choice, fix=fix)
    if wish.listed:
        yield from index_findings(
            chosen, context.used, locked, hashes=wish.hashes, fix=extended(wish.command, hashes=True)
        )
    if wish.listed and wish.hashes:
        wheels = wish.local_packages is LocalPackages.WHEELS
        yield from unhashed_findings(chosen, locked, wheels=wheels, fix=_with_every_hash(wish))


def _with_every_hash(wish: ExportRequest) -> str:
    """The command for a pylock.toml instead: what the lock has no hash of, uv fetches to compute it."""
    command = without(wish.command, "requirements-file", "hashes", "target")
    return command if wish.pylock_file else extended(command, pylock_file="pylock.toml")


# what they say


def _text(
    wish: ExportRequest, chosen: Requirements, context: Context, wheels: tuple[LocalWheel, ...], folder: Path
) -> str:
    """A requirements file in that folder: options, pins and wheels, one a line."""
    beside = Path(os.path.relpath(wish.project.root, folder)).as_posix()
    options = option_lines(context.used, context.indexes, beside=beside)
    here = [wheel.requirement for wheel in wheels if wheel.path.parent.parent == folder]
    lines: list[Pin | LocalRequirement] = [*chosen.pins, *here]
    said = (*options, *(line.hashed_line if wish.hashes else line.line for line in lines))
    return "".join(f"{line}\n" for line in said)


def _pylock(folder: Path, wish: ExportRequest, said: UvExport, context: Context, wheels: tuple[LocalWheel, ...]) -> str:
    assert context.locked is not None  # noqa: S101  # a pylock.toml always depends on the lock
    assert said.pylock is not None  # noqa: S101  # it was asked for
    from ...core.export.pylock import PathReplacements, render_pylock  # noqa: PLC0415  # as above

    project, lock = wish.project, context.locked.lock
    folders = {
        (project.root / path).resolve().as_uri(): Path(os.path.relpath(project.root / path, folder)).as_posix()
        for path in {one.source.address for one in lock.packages if one.source.kind is SourceKind.REGISTRY}
        if "://" not in path and not Path(path).is_absolute()
    }
    local: dict[str, LocalWheel | None] = dict.fromkeys(map(context.locked.name_of, said.requirements.local))
    local |= {wheel.name: wheel for wheel in wheels if wheel.path.parent.parent == folder}
    return _sayable(lambda raw: render_pylock(raw, PathReplacements(wheels=local, folders=folders)), said.pylock)


def _sayable(render: Callable[[str], str], raw: str) -> str:
    try:
        return render(raw)
    except (ValueError, KeyError, TypeError) as error:
        why = f"{type(error).__name__}: {error}"
        raise ToolFailed(what="the output of `uv export` cannot be read", why=why) from error


# what they depend on


def _wheels(wish: ExportRequest, chosen: Requirements, tools: LockTools) -> tuple[LocalWheel, ...]:
    folders = dict.fromkeys(file.parent for file in (wish.requirements_file, wish.pylock_file) if file is not None)
    if not chosen.local or not folders:
        return ()
    from tempfile import TemporaryDirectory  # noqa: PLC0415  # 15 ms with the next, and most exports build nothing

    from ...tools.uv.wheels import build_wheels, same_content  # noqa: PLC0415

    found = []
    with TemporaryDirectory(prefix="mlflow-uv-") as scratch:
        built = build_wheels(wish.project, chosen.local, Path(scratch) / WHEELS, uv=tools.uv, console=tools.console)
        for one in sorted(built, key=lambda one: (one.wheel.file, one.local.marker)):
            made = Path(scratch) / WHEELS / one.wheel.file
            for folder in folders:
                there = folder / WHEELS / made.name
                # What lies there and installs the same is kept: not every build backend makes the same bytes again.
                data = (there if same_content(there, made) else made).read_bytes()
                wheel = LocalWheel(
                    local=one.local,
                    name=one.wheel.name,
                    version=one.wheel.version,
                    path=there,
                    sha256=sha256(data),
                    data=data,
                )
                found.append(wheel)
    return tuple(found)


def _own_indexes(project: Project) -> tuple[Index, ...]:
    """Those of the settings that uv takes for the project, its own or those of a folder above, and of a member."""
    settings = settings_of(project.root)
    found: tuple[Index, ...] = ()
    if settings is not None:
        place = Path(os.path.relpath(settings.path.parent, project.root)).as_posix()
        found = declared(settings.table, folder=place)
    if project.root != project.folder:
        folder = Path(os.path.relpath(project.folder, project.root)).as_posix()
        found = (*found, *declared(table_of(project.manifest, "tool", "uv"), folder=folder))
    return found


def _members_indexes(project: Project, lock: Lockfile) -> Iterator[Index]:
    """Those that other local packages name for what they need."""
    for package in lock.packages:
        manifest = project.root / package.source.address / "pyproject.toml"
        if package.source.kind in _FOLDERS and manifest.parent != project.folder and manifest.is_file():
            yield from declared(table_of(read_manifest(manifest), "tool", "uv"), folder=package.source.address)


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise BadProject(what=f"`{path}` cannot be read", why=error.strerror or str(error)) from error
