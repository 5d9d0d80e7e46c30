"""Exports the lock as pip requirements, pylock.toml and CycloneDX SBOM, or compares such files with it."""

import os
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Annotated, Any

from ..command.errors import BadInput
from ..command.inputs import BuildInputs, LockInputs, OneTarget, RequirementsDigest, SelectionInputs
from ..command.lazy_pattern import lazy_pattern
from ..command.report import Finding, Report
from ..command.step import Doc, FixedInRelease, Hook, OneRun, SettingReach, Step, fields_of
from ..command.wording import Wording, checkout_call, extended, option, without
from ..core.export.portability import LocalPackages
from ..core.lock.selection import Selection
from ..core.release.package_changes import describe_changes, first_difference
from ..ops.lock.export import Document, ExportRequest, Lists, UvExport, make_lists
from ..ops.lock.freshness import require_fresh, restricted
from ..payloads.messages.lazy_dataclass import lazy_dataclass
from ..tools.lock_toolbox import LockTools
from ..tools.project.files import Project, bounds_of, leads_out, path_from, read_project, write_atomically
from ..tools.uv.messages import HashesMissing

_PYLOCK = lazy_pattern(r"pylock(\.[^.]+)?\.toml")


@lazy_dataclass
class ExportFileInputs(SelectionInputs, LockInputs):
    """Inputs of export that a release takes: the selection, the formats and their files."""

    requirements_file: Annotated[
        Path | None,
        SettingReach.WRITTEN,
        Doc(
            "File for pip requirements, relative to the project folder; the step export prints them if no output file"
            " is given."
        ),
    ] = None
    pylock_file: Annotated[
        Path | None,
        SettingReach.WRITTEN,
        Doc("File to write the selection to as a pylock.toml (PEP 751), relative to the project folder."),
    ] = None
    sbom_file: Annotated[
        Path | None,
        SettingReach.WRITTEN,
        Doc("File to write the selection to as a CycloneDX 1.5 SBOM, relative to the project folder."),
    ] = None
    hashes: Annotated[bool, Doc("Add the hashes in the lock to each requirement.")] = False
    local_packages: Annotated[
        LocalPackages,
        Doc(
            "Packages that are folders of the checkout: `refuse` to export, build `wheels` next to the output"
            " file, or `omit` them."
        ),
    ] = LocalPackages.REFUSE
    target: OneTarget = None
    check: Annotated[bool, OneRun(), Doc("Compare the existing files with the lock instead of writing them.")] = False


@lazy_dataclass
class Inputs(ExportFileInputs, BuildInputs):
    """Inputs of export."""

    silent: Annotated[
        bool,
        OneRun(),
        FixedInRelease(value=True),
        Doc("If no output file is given, neither print nor check the requirements."),
    ] = False


@lazy_dataclass
class Outputs:
    """Outputs of export: the files, and what differed from the lock."""

    requirements_file: Annotated[
        Path | None, Doc("Path of the requirements file that was written or compared; empty if none was requested.")
    ]
    requirements_sha256: RequirementsDigest
    pylock_file: Annotated[
        Path | None, Doc("Path of the pylock.toml that was written or compared; empty if none was requested.")
    ]
    sbom_file: Annotated[
        Path | None, Doc("Path of the SBOM that was written or compared; empty if none was requested.")
    ]
    wheels: Annotated[tuple[str, ...], Doc("File names of the wheels of local packages next to the output file.")]
    pins: Annotated[int, Doc("Number of distributions that the lock pins for the selection.")]
    changed: Annotated[bool, Doc("Whether any file differed from the lock.")]
    written: Annotated[
        tuple[str, ...],
        Doc("Files, including wheels, that differed from the lock; they were rewritten unless `check` is set."),
    ]


def run(inputs: Inputs, tools: LockTools) -> Report[Outputs]:
    """Export, then write, compare or print. Raises LockNotFresh, BadInput, BadProject, ToolMissing, ToolFailed."""
    project = read_project(inputs.project)
    tools = restricted(tools, inputs.builds)
    request = _request(inputs, project, tools.host.folder)
    try:
        exported = _uv_exports(inputs, project, tools)
    except HashesMissing as error:
        error.fix = Wording(
            _as_requirements(request), ", which needs no hashes, or the same command where the files can be downloaded"
        )
        raise
    lists = make_lists(request, exported, tools)
    before = {document.path: _read(document.path) for document in lists.documents}
    differing = tuple(document for document in lists.documents if before[document.path] != document.text)
    wheels = {path: data for path, data in lists.wheels.items() if not path.is_file() or path.read_bytes() != data}
    if not inputs.check:
        for path, data in wheels.items():
            write_atomically(path, data, within=bounds_of(path, project.folder))
        for document in differing:
            path = document.path
            write_atomically(path, document.text.encode(), within=bounds_of(path, project.folder))
    findings = (*lists.findings, *(_differences(request, differing, before, wheels) if inputs.check else ()))
    return Report(
        outputs=Outputs(
            requirements_file=request.requirements_file,
            requirements_sha256=exported.requirements.digest,
            pylock_file=request.pylock_file,
            sbom_file=request.sbom_file,
            wheels=tuple(sorted({path.name for path in lists.wheels})),
            pins=len(exported.requirements.pins),
            changed=bool(differing or wheels),
            written=tuple(str(path) for path in (*(document.path for document in differing), *wheels)),
        ),
        summary=_summary(inputs, lists, differing, exported),
        findings=findings,
        result=lists.printed,
    )


def _request(inputs: Inputs, project: Project, where: Path) -> ExportRequest:
    if inputs.pylock_file is not None and not _PYLOCK.fullmatch(inputs.pylock_file.name):
        raise BadInput(
            what="`pylock-file` is not called `pylock.toml` or `pylock.NAME.toml`",
            why=f"it is {str(inputs.pylock_file)!r}, and installers find the file by its name",
        )
    return ExportRequest(
        project=project,
        requirements_file=_at(project, "requirements-file", inputs.requirements_file),
        pylock_file=_at(project, "pylock-file", inputs.pylock_file),
        sbom_file=_at(project, "sbom-file", inputs.sbom_file),
        silent=inputs.silent,
        hashes=inputs.hashes,
        local_packages=inputs.local_packages,
        environment=_environment(inputs),
        command=_command(inputs, project, where),
    )


def _environment(inputs: Inputs) -> Mapping[str, str] | None:
    """Return the marker environment of the target, None without a target."""
    if inputs.target is None:
        return None
    if inputs.pylock_file is not None:
        raise BadInput(what="`target` and `pylock-file` exclude each other", why="a pylock.toml covers every target")
    from ..core.lock.targets import parse_target  # noqa: PLC0415  # saves 5 ms without a target

    return parse_target(inputs.target).environment


def _at(project: Project, name: str, file: Path | None) -> Path | None:
    """Return the absolute path of a file. Raises BadInput for a symbolic link in the checkout that leads out of it."""
    if file is None:
        return None
    path = Path(os.path.normpath(project.folder / file))
    bounds = bounds_of(path, project.folder)
    if bounds is not None and leads_out(path, bounds):
        real = os.path.realpath(path)
        raise BadInput(
            what=f"`{name}` is a symbolic link to a path outside the checkout",
            why=f"`{file}` is {real}",
            fix=Wording("remove the link, or ", option(name, real)),
        )
    return path


def _command(inputs: Inputs, project: Project, where: Path) -> str:
    """Return the command that repeats this export from the given folder."""
    inputs_given: dict[str, str | bool] = {}
    if project.folder != where:
        inputs_given["project"] = path_from(where, project.folder)
    for field in fields_of(Inputs):
        value = getattr(inputs, field.name)
        if field.setting and value != field.default:
            inputs_given[field.name] = value if isinstance(value, bool) else field.text(value)
    return checkout_call("export", **inputs_given)


def _as_requirements(request: ExportRequest) -> str:
    """Return the command that exports requirements without hashes instead of a pylock.toml."""
    command = without(request.command, "pylock-file", "hashes")
    return command if request.requirements_file else extended(command, requirements_file="requirements.txt")


def _uv_exports(inputs: Inputs, project: Project, tools: LockTools) -> UvExport:
    """Run all uv exports and the freshness check concurrently; exports of a stale lock are discarded."""
    selection = Selection(package=inputs.package, extras=inputs.extras, groups=inputs.groups)
    exports: dict[str, Callable[..., Any]] = {"requirements": partial(tools.uv.export, hashes=inputs.hashes)}
    if inputs.pylock_file is not None:
        exports["pylock"] = tools.uv.pylock
    if inputs.sbom_file is not None:
        exports["sbom"] = tools.uv.sbom
    tasks: list[Callable[[], Any]] = [
        partial(require_fresh, project, tools, respect_env=inputs.respect_env),
        *(partial(export, project, selection, respect_env=inputs.respect_env) for export in exports.values()),
    ]
    _, *answers = tools.runner.side_by_side(tasks)
    return UvExport(**dict(zip(exports, answers, strict=True)))


def _read(path: Path) -> str | None:
    try:
        return path.read_bytes().decode(errors="replace")
    except FileNotFoundError:
        return None
    except OSError as error:
        raise BadInput(what=f"`{path}` cannot be read", why=error.strerror or str(error)) from error


def _summary(inputs: Inputs, lists: Lists, differing: tuple[Document, ...], exported: UvExport) -> str:
    pins = f"{len(exported.requirements.pins)} pins"
    if not lists.documents:
        return pins if lists.printed is not None or inputs.silent else f"nothing listed ({pins})"
    verbs = ("differs from the lock", "matches the lock") if inputs.check else ("written", "unchanged")
    statements = (f"{document.path.name} {verbs[document not in differing]}" for document in lists.documents)
    return f"{', '.join(statements)} ({pins})"


def _differences(
    request: ExportRequest,
    differing: tuple[Document, ...],
    before: Mapping[Path, str | None],
    wheels: Mapping[Path, bytes],
) -> Iterator[Finding]:
    for document in differing:
        name, old = document.path.name, before[document.path]
        yield Finding(
            rule="export-differs",
            what=f"{name} does not match uv.lock",
            why="it does not exist"
            if old is None
            else describe_changes(old, document.text, document.pins_of, names=(name, "uv.lock")),
            fix=request.command,
            path=document.path,
            line=1 if old is None else first_difference(old, document.text),
        )
    for path in wheels:
        what = f"{path.name} does not match its sources" if path.is_file() else f"{path.name} does not exist"
        yield Finding(rule="export-differs", what=what, fix=request.command, path=path)


STEP = Step(
    name="export",
    summary="Export the lock reproducibly as pip requirements, pylock.toml and CycloneDX SBOM.",
    inputs=Inputs,
    outputs=Outputs,
    run=run,
    hook=Hook(
        name="exported requirements match uv.lock",
        files=r"(^|/)(uv\.lock|requirements.*\.txt|pylock(\..+)?\.toml|.*\.cdx\.json)$",
    ),
)
