"""Is uv.lock still true to pyproject.toml?"""

import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from ..core.digests import lock_digest
from ..errors import LockNotFresh
from ..report import Finding, Report, Severity
from ..step import Doc, Hook, Step
from ..tools.files import Project, Unreadable, line_of, read_project
from ..tools.locktools import LockTools
from ..tools.uvwords import LockState, LockVerdict
from ..vocabulary import LockDigest, ProjectPath, RespectEnv, UvProgram


@dataclass(frozen=True, kw_only=True, slots=True)
class Inputs:
    """What to check."""

    project: ProjectPath = Path()
    uv: UvProgram = None
    respect_env: RespectEnv = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Outputs:
    """What was found."""

    verdict: Annotated[LockState, Doc("fresh, stale, missing, unsolvable or unreadable.")]
    lock: Annotated[Path, Doc("The uv.lock that covers the project.")]
    lock_sha256: LockDigest
    set_aside: Annotated[tuple[str, ...], Doc("The caller's variables that did not get to steer the answer.")]


_SENTENCES = {
    LockState.STALE: ("uv.lock is out of date", "pyproject.toml changed after it was written", "uv lock"),
    LockState.MISSING: ("uv.lock is missing", "nothing says which packages this project uses", "uv lock"),
    LockState.UNSOLVABLE: ("the requirements have no solution", "", "change the requirement, then `uv lock`"),
    LockState.UNREADABLE: ("it cannot be parsed", "", "git checkout -- uv.lock && uv lock"),
}


def run(inputs: Inputs, tools: LockTools) -> Report[Outputs]:
    """Ask uv, and say what mends it. Raises BadProject, ToolMissing, ToolFailed."""
    try:
        project = read_project(inputs.project)
    except Unreadable as error:
        return _unreadable(error)
    verdict = tools.uv.lock_state(project, respect_env=inputs.respect_env)
    aside = tools.uv.set_aside(respect_env=inputs.respect_env)
    fresh = verdict.state is LockState.FRESH
    changes = (
        () if verdict.state is not LockState.STALE else tools.uv.lock_changes(project, respect_env=inputs.respect_env)
    )
    digest = lock_digest(project.lock.read_bytes()) if project.lock.is_file() else ""
    return Report(
        outputs=Outputs(verdict=verdict.state, lock=project.lock, lock_sha256=digest, set_aside=aside),
        summary=f"uv.lock is {verdict.state.value}",
        findings=(
            *(() if fresh else (lock_finding(project, verdict, changes, where=tools.surroundings.folder),)),
            *((_set_aside(project, aside),) if aside else ()),
        ),
    )


def lock_finding(project: Project, verdict: LockVerdict, changes: tuple[str, ...] = (), *, where: Path) -> Finding:
    """The finding for a lock that is not fresh, on the file and line it is about; its command works in `where`."""
    what, why, fix = _SENTENCES[verdict.state]
    if project.root != where:
        root = project.root.relative_to(where) if project.root.is_relative_to(where) else project.root
        fix = fix.replace("-- uv.lock", f"-- {shlex.quote(str(root / 'uv.lock'))}")
        fix = fix.replace("uv lock", f"uv lock --project {shlex.quote(str(root))}")
    if verdict.state is LockState.UNREADABLE:
        what = f"{verdict.file} cannot be parsed"
        fix = fix if verdict.file == "uv.lock" else f"correct line {verdict.line} of {verdict.file}"
    folder = project.root if verdict.file == "uv.lock" else project.folder
    line = verdict.line
    if verdict.state is LockState.UNSOLVABLE:
        line = line_of(folder / verdict.file, "dependencies", "[project]")
    shown = (*changes[:5], f"and {len(changes) - 5} more") if len(changes) > 5 else changes  # noqa: PLR2004
    reasons = "; ".join(filter(None, (verdict.reason or why, ", ".join(shown))))
    return Finding(
        rule=f"lock-{verdict.state.value}", what=what, why=reasons, fix=fix, path=folder / verdict.file, line=line
    )


def require_fresh(project: Project, tools: LockTools, *, respect_env: bool) -> None:
    """For steps that make something from the lock. Raises LockNotFresh with what check-lock would say."""
    verdict = tools.uv.lock_state(project, respect_env=respect_env)
    if verdict.state is not LockState.FRESH:
        finding = lock_finding(project, verdict, where=tools.surroundings.folder)
        raise LockNotFresh(what=finding.what, why=finding.why, fix=finding.fix)


def _unreadable(error: Unreadable) -> Report[Outputs]:
    lock = error.path.parent / "uv.lock"
    finding = Finding(
        rule="lock-unreadable", what=error.what, why=error.why, fix=error.fix, path=error.path, line=error.line
    )
    outputs = Outputs(verdict=LockState.UNREADABLE, lock=lock, lock_sha256="", set_aside=())
    return Report(outputs=outputs, summary=f"{error.path.name} cannot be read", findings=(finding,))


def _set_aside(project: Project, names: tuple[str, ...]) -> Finding:
    return Finding(
        rule="env-set-aside",
        severity=Severity.NOTICE,
        what=f"{', '.join(names)} did not steer the answer",
        why="the lock is asked as everybody else would ask it",
        fix="respect-env: true, to let it",
        path=project.lock,
    )


STEP = Step(
    name="check-lock",
    summary="Check that uv.lock is still true to pyproject.toml.",
    inputs=Inputs,
    outputs=Outputs,
    run=run,
    needs_project=False,
    hook=Hook(name="uv.lock is fresh", files=r"(^|/)(uv\.lock|uv\.toml|pyproject\.toml)$"),
)
