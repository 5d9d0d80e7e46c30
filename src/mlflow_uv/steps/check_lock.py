"""Checks that every uv.lock is up to date with its pyproject.toml and complies with the lock policy."""

import os
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Annotated

from ..command.errors import BadProject, StepError
from ..command.inputs import BuildInputs, ExcludeInputs, LockDigest, LockInputs, ProjectInputs
from ..command.report import Finding, Report, Severity, Table, counted
from ..command.step import Doc, FixedInRelease, Hook, OneRun, Step
from ..command.wording import Wording, option
from ..core.freshness.causes import Cause
from ..ops.lock.freshness import Freshness, examine, restricted, unreadable
from ..ops.lock.policy import policy_findings
from ..ops.lock.script_locks import ScriptAnswer, script_answers
from ..payloads.messages.lazy_dataclass import lazy_dataclass
from ..tools.lock_toolbox import LockTools
from ..tools.project.files import Project, UnreadableProject, bounds_of, read_project, table_of, write_atomically
from ..tools.project.tree import is_managed, projects_below
from ..tools.uv.guard import IgnoredSetting
from ..tools.uv.messages import LockState
from ..tools.uv.uv import LockRequest


@lazy_dataclass
class Inputs(ProjectInputs, BuildInputs, LockInputs, ExcludeInputs):
    """Inputs of check-lock: the projects to check, and how."""

    alone: Annotated[
        bool,
        FixedInRelease(value=True),
        Doc("Check only the project in the project folder, not the uv projects in its subfolders."),
    ] = False
    offline: Annotated[
        bool,
        FixedInRelease(value=False),
        Doc("Do not use the network; a lock that cannot be checked without it is reported as unverifiable."),
    ] = False
    patch: Annotated[
        Path | None,
        OneRun(),
        FixedInRelease(None),
        Doc("File for a patch (`git apply`) with the changes that `uv lock` would make to all checked locks."),
    ] = None


@lazy_dataclass
class LockMatrixEntry:
    """One project as an entry of a job matrix; paths are relative to the working folder."""

    project: str
    lock: str
    verdict: LockState
    causes: tuple[Cause, ...]


@lazy_dataclass
class Matrix:
    """The shape of `strategy.matrix`."""

    include: tuple[LockMatrixEntry, ...] = ()


@lazy_dataclass
class Outputs:
    """Outputs of check-lock; `lock` and its digest belong to the first project."""

    verdict: Annotated[
        LockState,
        Doc(
            "Worst state of all checked locks, by increasing severity: fresh, unverifiable, stale, missing,"
            " unsolvable, unreadable."
        ),
    ]
    causes: Annotated[tuple[Cause, ...], Doc("Causes of the verdict, as keywords such as requirement-added.")]
    lock: Annotated[Path, Doc("Path of the uv.lock that covers the project.")]
    lock_sha256: LockDigest
    projects: Annotated[
        Matrix, Doc("All checked projects with their locks, verdicts and causes, as JSON for `strategy.matrix`.")
    ]
    patch: Annotated[
        Path | None,
        Doc(
            "Path of the patch that updates all stale or missing locks; empty if there are none or no patch was"
            " requested."
        ),
    ]
    set_aside: Annotated[tuple[str, ...], Doc("Names of the `UV_*` variables that were ignored.")]


_BY_SEVERITY = (
    LockState.FRESH,
    LockState.UNVERIFIABLE,
    LockState.STALE,
    LockState.MISSING,
    LockState.UNSOLVABLE,
    LockState.UNREADABLE,
)


def run(inputs: Inputs, tools: LockTools) -> Report[Outputs]:
    """Check every project, with a fix in each finding. Raises BadInput, BadProject, ToolMissing, ToolFailed."""
    tools = restricted(tools, inputs.builds)
    scripts = () if inputs.alone else _scripts(inputs, tools)
    answers = _answers(_projects(inputs, tools), inputs, tools)
    ignored_variables = tools.uv.set_aside(respect_env=inputs.respect_env)
    patch, patch_findings = _patched(inputs, answers, tools)
    first_answer, folder = answers[0], tools.host.folder
    all_answers: tuple[Freshness | ScriptAnswer, ...] = (*answers, *scripts)
    return Report(
        outputs=Outputs(
            verdict=max((answer.state for answer in all_answers), key=_BY_SEVERITY.index),
            causes=tuple(dict.fromkeys(cause for answer in all_answers for cause in answer.causes)),
            lock=first_answer.project.lock,
            lock_sha256=first_answer.lock_sha256,
            projects=Matrix(include=tuple(_entry(answer, folder) for answer in answers)),
            patch=patch,
            set_aside=ignored_variables,
        ),
        summary=_summary(all_answers),
        findings=(
            *(finding for answer in all_answers for finding in answer.findings),
            *((_env_set_aside(first_answer.project.lock, ignored_variables),) if ignored_variables else ()),
            *patch_findings,
        ),
        tables=tuple(_changes(answer, folder) for answer in answers if answer.changes),
    )


def _scripts(inputs: Inputs, tools: LockTools) -> tuple[ScriptAnswer, ...]:
    """Check the locks of single scripts, which belong to no project."""
    answers = script_answers(
        inputs.project, tools, exclude=inputs.exclude, respect_env=inputs.respect_env, offline=inputs.offline
    )
    return tuple(answers)


def _projects(inputs: Inputs, tools: LockTools) -> tuple[Project | UnreadableProject, ...]:
    """Return the projects to check. Raises BadProject for a folder without any."""
    projects = projects_below(inputs.project, tools.git, exclude=inputs.exclude) if not inputs.alone else ()
    if projects:
        return projects
    try:
        project = read_project(inputs.project)
    except UnreadableProject as error:
        return (error,)
    if not is_managed(project, first=True) and "uv" not in table_of(project.manifest, "tool"):
        raise BadProject(
            what=f"`{project.folder}` is not a uv project",
            why="its pyproject.toml has neither [project] nor [tool.uv], and there is no uv.lock next to it",
            fix=option("project", "FOLDER"),
        )
    return (project,)


def _answers(projects: tuple[Project | UnreadableProject, ...], inputs: Inputs, tools: LockTools) -> list[Freshness]:
    """Check the projects concurrently; an error about one of several becomes its finding."""

    def attempt(project: Project | UnreadableProject) -> Freshness | StepError:
        try:
            return _examined(project, inputs, tools)
        except StepError as error:
            return error

    answers = tools.runner.side_by_side([partial(attempt, project) for project in projects])
    errors = [answer for answer in answers if isinstance(answer, StepError)]
    if errors and len(errors) == len(answers) and len({error.text for error in errors}) == 1:
        raise errors[0]  # the error is about the machine, or there is only one project
    return [
        _unanswered(project, answer) if isinstance(answer, StepError) else answer
        for project, answer in zip(projects, answers, strict=True)
    ]


def _unanswered(project: Project | UnreadableProject, error: StepError) -> Freshness:
    root = project.root if isinstance(project, Project) else project.path.parent
    finding = Finding(
        rule=f"lock-{Cause.UNANSWERED.value}",
        what=error.what,
        why=error.why,
        fix=error.fix,
        path=Path(error.path) if error.path else root / "pyproject.toml",
        line=error.line,
    )
    return Freshness(
        project=project if isinstance(project, Project) else Project(folder=root, root=root, manifest={}),
        state=LockState.UNVERIFIABLE,
        causes=(Cause.UNANSWERED,),
        findings=(finding,),
    )


def _patched(inputs: Inputs, answers: list[Freshness], tools: LockTools) -> tuple[Path | None, tuple[Finding, ...]]:
    """
    Write the patch that updates stale and missing locks; the locks themselves stay as they are.

    A lock of which no patch can be made is a warning: that it is out of date is the result of this step.
    """
    outdated = [answer for answer in answers if answer.state in (LockState.STALE, LockState.MISSING)]
    if inputs.patch is None or not outdated:
        return None, ()
    from ..ops.lock.patch import patch_of  # noqa: PLC0415  # rarely requested

    request = LockRequest(respect_env=inputs.respect_env, offline=inputs.offline)
    patches, findings = [], []
    for answer in outdated:
        try:
            patches.append(patch_of(answer.project, tools, request))
        except StepError as error:
            findings.append(_unpatched(answer.project.lock, error))
    if not patches:
        return None, tuple(findings)
    write_atomically(inputs.patch, b"".join(patches), within=bounds_of(inputs.patch))
    return inputs.patch, tuple(findings)


def _unpatched(lock: Path, error: StepError) -> Finding:
    return Finding(
        rule="lock-patch",
        severity=Severity.WARNING,
        what="the patch of this lock could not be made",
        why=Wording(error.what, ": ", error.why),
        fix=error.fix,
        path=lock,
    )


def _examined(project: Project | UnreadableProject, inputs: Inputs, tools: LockTools) -> Freshness:
    if isinstance(project, UnreadableProject):
        folder, finding = project.path.parent, unreadable(project)
        return Freshness(
            project=Project(folder=folder, root=folder, manifest={}),
            state=LockState.UNREADABLE,
            causes=(Cause(finding.rule.removeprefix("lock-")),),
            findings=(finding,),
        )
    freshness = examine(project, tools, respect_env=inputs.respect_env, offline=inputs.offline)
    if freshness.state is LockState.UNREADABLE:
        return freshness  # the policy cannot be checked on an unreadable lock
    extra_findings = (*policy_findings(project, tools), *map(_not_followed, tools.uv.guard.ignored_settings(project)))
    outside_settings = tools.uv.settings_set_aside(project, respect_env=inputs.respect_env)
    extra_findings = (*extra_findings, *(_settings_set_aside(path, keys) for path, keys in outside_settings.items()))
    return replace(freshness, findings=(*freshness.findings, *extra_findings))


def _not_followed(setting: IgnoredSetting) -> Finding:
    return Finding(
        rule="uv-setting-not-followed",
        severity=Severity.WARNING,
        what=setting.what,
        why=setting.why,
        fix=setting.fix,
        path=setting.file,
        line=setting.line,
    )


def _summary(answers: tuple[Freshness | ScriptAnswer, ...]) -> str:
    not_fresh = sum(answer.state is not LockState.FRESH for answer in answers)
    shown_findings = [
        finding for answer in answers for finding in answer.findings if finding.severity is not Severity.NOTICE
    ]
    rules = {finding.rule for finding in shown_findings if finding.rule.startswith("policy-")}
    violations = f", and {counted(len(rules), 'rule')} broken" if rules else ""
    if len(answers) == 1:
        return f"uv.lock is {answers[0].state.value}{violations}"
    return (
        f"{not_fresh} of {len(answers)} locks are not fresh{violations}"
        if not_fresh
        else f"all {len(answers)} locks are fresh{violations}"
    )


def _entry(answer: Freshness, where: Path) -> LockMatrixEntry:
    return LockMatrixEntry(
        project=_relative(answer.project.root, where),
        lock=_relative(answer.project.lock, where),
        verdict=answer.state,
        causes=answer.causes,
    )


def _changes(answer: Freshness, where: Path) -> Table:
    return Table(
        title=f"`{answer.project.lock_command(where)}` would",
        columns=("change", "package", "version"),
        rows=tuple((*words[:2], " ".join(words[2:])) for words in map(str.split, answer.changes)),
    )


def _relative(path: Path, where: Path) -> str:
    return Path(os.path.relpath(path, where)).as_posix()


def _settings_set_aside(path: Path, keys: tuple[str, ...]) -> Finding:
    names = ", ".join(f"`{key}`" for key in keys)
    return _ignored("settings-set-aside", f"{names} in {path}", len(keys), path)


def _env_set_aside(lock: Path, names: tuple[str, ...]) -> Finding:
    return _ignored("env-set-aside", ", ".join(names), len(names), lock)


def _ignored(rule: str, names: str, number: int, path: Path) -> Finding:
    return Finding(
        rule=rule,
        severity=Severity.NOTICE,
        what=f"{names} {'was' if number == 1 else 'were'} ignored",
        why="the lock is checked as on any other machine",
        fix=Wording(option("respect-env"), ", to apply them"),
        path=path,
    )


STEP = Step(
    name="check-lock",
    summary="Check that every uv.lock is up to date with its pyproject.toml and complies with the project's lock"
    " policy.",
    inputs=Inputs,
    outputs=Outputs,
    run=run,
    needs_project=False,
    hook=Hook(name="uv.lock is fresh", files=r"(^|/)(uv\.lock|uv\.toml|pyproject\.toml|setup\.cfg|setup\.py)$"),
)
