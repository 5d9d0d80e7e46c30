"""What does the lock say, as requirements that any pip understands?"""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from ..core.requirements import Requirements, difference
from ..core.selection import Selection
from ..report import Finding, Report, Severity
from ..step import Doc, Hook, OneRun, Step
from ..tools.files import Project, read_project, write_whole
from ..tools.locktools import LockTools
from ..vocabulary import Extras, Groups, PackageName, ProjectPath, RequirementsDigest, RespectEnv, UvProgram
from .check_lock import require_fresh


@dataclass(frozen=True, kw_only=True, slots=True)
class Inputs:
    """What to export, and where to."""

    project: ProjectPath = Path()
    package: PackageName = None
    extras: Extras = ()
    groups: Groups = ()
    requirements_file: Annotated[
        Path | None, Doc("File to write, relative to the project; without it the list goes to standard output.")
    ] = None
    check: Annotated[bool, OneRun(), Doc("Compare the file with the lock instead of writing it.")] = False
    uv: UvProgram = None
    respect_env: RespectEnv = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Outputs:
    """What was exported."""

    requirements_file: Annotated[Path | None, Doc("The file that was written or compared, if one was named.")]
    requirements_sha256: RequirementsDigest
    pins: Annotated[int, Doc("How many distributions the list pins.")]
    changed: Annotated[bool, Doc("Whether the file differed from the lock.")]


def run(inputs: Inputs, tools: LockTools) -> Report[Outputs]:
    """Export, then write, compare or print. Raises LockNotFresh, BadInput, BadProject, ToolMissing, ToolFailed."""
    project = read_project(inputs.project)
    selection = Selection(package=inputs.package, extras=inputs.extras, groups=inputs.groups)
    require_fresh(project, tools, respect_env=inputs.respect_env)
    requirements = tools.uv.export(project, selection, respect_env=inputs.respect_env)
    target = None if inputs.requirements_file is None else project.folder / inputs.requirements_file
    before = target.read_text(errors="replace") if target is not None and target.is_file() else None
    changed = target is not None and before != requirements.text
    if target is not None and changed and not inputs.check:
        write_whole(target, requirements.text.encode())
    return Report(
        outputs=Outputs(
            requirements_file=target,
            requirements_sha256=requirements.digest,
            pins=len(requirements.pins),
            changed=changed,
        ),
        summary=_summary(inputs, requirements, changed=changed),
        findings=tuple(_findings(inputs, project, requirements, before=before, changed=changed)),
        result=requirements.text if target is None else None,
    )


def _summary(inputs: Inputs, requirements: Requirements, *, changed: bool) -> str:
    pins = f"{len(requirements.pins)} pins"
    if inputs.requirements_file is None:
        return pins
    if inputs.check:
        return f"{inputs.requirements_file} {'differs from' if changed else 'is'} the lock ({pins})"
    return f"{inputs.requirements_file} {'written' if changed else 'unchanged'} ({pins})"


def _findings(
    inputs: Inputs, project: Project, requirements: Requirements, *, before: str | None, changed: bool
) -> list[Finding]:
    findings = []
    if inputs.check and changed:
        name = str(inputs.requirements_file)
        found = (
            "it does not exist" if before is None else difference(before, requirements.text, names=(name, "uv.lock"))
        )
        findings.append(
            Finding(
                rule="export-differs",
                what=f"{name} is not what uv.lock says",
                why=found,
                fix=f"mlflow-uv export --requirements-file {name}",
                path=project.folder / name,
            )
        )
    if requirements.local:
        findings.append(
            Finding(
                rule="export-local",
                severity=Severity.NOTICE,
                what=f"{', '.join(local.path for local in requirements.local)} left out of the list",
                why="a path means nothing elsewhere; log-model sends local packages along with the model as wheels",
                path=project.lock,
            )
        )
    return findings


STEP = Step(
    name="export",
    summary="Write the lock as pip requirements, byte-stable.",
    inputs=Inputs,
    outputs=Outputs,
    run=run,
    hook=Hook(name="requirements are what uv.lock says", files=r"(^|/)(uv\.lock|requirements.*\.txt)$"),
)
