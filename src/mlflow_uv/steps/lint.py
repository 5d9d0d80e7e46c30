"""Finds mistakes in the files of MLflow projects that are locked with uv."""

import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

from ..command.errors import BadInput
from ..command.inputs import ExcludeInputs, ProjectInputs
from ..command.report import Finding, Report, Severity, counted
from ..command.rule_hook import RuleHook
from ..command.step import Doc, Hook, OneRun, Quoted, Step, refuse_unknown
from ..core.lint.catalog import NAMES, rule_of, rules
from ..core.lint.rule import LintProblem, LintRule
from ..ops.lint.check import BrokenRule, broken_rules, path_below
from ..ops.lint.fix import corrected
from ..ops.lint.folder import CheckedFolder
from ..ops.lint.silenced import Silenced
from ..payloads.messages.lazy_dataclass import lazy_dataclass
from ..tools.lock_toolbox import LockTools
from ..tools.project.files import absolute, path_from
from ..tools.project.tree import is_excluded, walked


@lazy_dataclass
class Inputs(ProjectInputs, ExcludeInputs):
    """Inputs of lint: the files and the rules, and whether files are corrected."""

    rules: Annotated[
        tuple[str, ...],
        OneRun(),
        Doc("Rules to check; by default all except the optional ones that `[tool.mlflow-uv.lint]` does not add."),
    ] = ()
    files: Annotated[
        tuple[str, ...],
        Quoted(),
        OneRun(),
        Doc("Files to check, with quotes around paths with spaces; by default all that git does not ignore."),
    ] = ()
    fix: Annotated[bool, OneRun(), Doc("Correct what can be corrected without a decision, and report the rest.")] = (
        False
    )


@lazy_dataclass
class Outputs:
    """Outputs of lint."""

    findings: Annotated[int, Doc("Number of findings, warnings included.")]
    corrected: Annotated[tuple[str, ...], Doc("Paths of the files that were corrected.")]


def run(inputs: Inputs, tools: LockTools) -> Report[Outputs]:
    """Check the files offline; only git is run, for their names. Raises BadInput, ToolFailed."""
    folder = absolute(inputs.project)
    if not folder.is_dir():
        raise BadInput(what=f"`{inputs.project}` is not a folder", why="lint checks the files in a folder")
    paths, tracked = _paths(inputs, folder, tools)
    files = CheckedFolder(str(folder))
    silenced = Silenced(folder, files, where=tools.host.folder)
    chosen = _chosen(inputs, silenced)
    broken = _broken(chosen, paths, files, tracked, silenced)
    changed: tuple[str, ...] = ()
    if inputs.fix and (changed := corrected(broken, files)):
        files = CheckedFolder(str(folder))
        broken = _broken(chosen, paths, files, tracked, silenced)
    findings = tuple(_finding(problem, folder, silenced, where=tools.host.folder) for problem in broken)
    return Report(
        outputs=Outputs(findings=len(findings), corrected=changed),
        summary=_summary(len(paths), len(findings), len(changed)),
        findings=(*findings, *_unreadable(silenced), *_too_large(files, folder)),
    )


def _too_large(files: CheckedFolder, folder: Path) -> Iterator[Finding]:
    """Yield a warning for each file that was not read."""
    for path, limit in files.too_large.items():
        yield Finding(
            rule="lint-unchecked",
            severity=Severity.WARNING,
            what="this file is not checked",
            why=f"it has more than {limit // 1_000_000} MB",
            fix="shorten it, or name its folder in `exclude`",
            path=folder / path,
        )


def _unreadable(silenced: Silenced) -> Iterator[Finding]:
    """Yield a warning for each manifest whose settings of lint, if it has any, have no effect."""
    for error in silenced.unreadable:
        yield Finding(
            rule="lint-settings",
            severity=Severity.WARNING,
            what=f"settings of lint in this file have no effect: {error.what}",
            why=error.why,
            fix=error.fix,
            path=error.path,
            line=error.line,
        )


def _paths(inputs: Inputs, folder: Path, tools: LockTools) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The paths to read, and those whose names are checked: what git tracks, or what was named."""
    if inputs.files:
        named = tuple(path_below(str(folder), str(tools.host.folder), word) for word in inputs.files)
        return named, named
    tracked = tools.git.names_below(folder, tracked=True)
    every = tools.git.names_below(folder, tracked=False) if tracked is not None else tuple(walked(folder))
    kept = tuple(path for path in every or () if not is_excluded(path.split("/")[:-1], inputs.exclude))
    wanted = set(kept)
    return kept, tuple(path for path in tracked or () if path in wanted)


def _chosen(inputs: Inputs, silenced: Silenced) -> tuple[LintRule, ...]:
    """The rules to check. Raises BadInput for one that does not exist."""
    refuse_unknown(dict.fromkeys(inputs.rules), frozenset(NAMES), source="`rules`")
    if inputs.rules:
        return tuple(map(rule_of, dict.fromkeys(inputs.rules)))
    added = silenced.settings_of("").add
    return tuple(rule for rule in rules() if not rule.optional or rule.name in added)


def _broken(
    chosen: tuple[LintRule, ...],
    paths: tuple[str, ...],
    files: CheckedFolder,
    tracked: tuple[str, ...],
    silenced: Silenced,
) -> tuple[BrokenRule, ...]:
    every = dict.fromkeys(broken_rules(chosen, paths, files, tracked=tracked))
    return tuple(sorted((broken for broken in every if not silenced.silent(broken)), key=_order))


def _order(broken: BrokenRule) -> tuple[str, int, str]:
    return broken.path, broken.problem.line, broken.rule.name


def _finding(broken: BrokenRule, folder: Path, silenced: Silenced, *, where: Path) -> Finding:
    return Finding(
        rule=broken.rule.id,
        what=f"{broken.problem.what} [{broken.rule.name}]",
        why=broken.problem.why,
        fix=_fix(broken.problem, path_from(where, folder)),
        severity=Severity.WARNING if silenced.warns(broken) else Severity.ERROR,
        path=folder / broken.path,
        line=broken.problem.line,
    )


def _fix(problem: LintProblem, folder: str) -> str:
    """The fix for the current folder, from which the checked one has this path."""
    if folder == "." or not problem.in_folder:
        return problem.fix
    if problem.fix.startswith(("git ", "uv ")):
        return f"cd {shlex.quote(folder)} && {problem.fix}"
    return f"{problem.fix} (in {folder})"


def _summary(files: int, findings: int, changed: int) -> str:
    state = (
        f"{counted(findings, 'finding')} in {counted(files, 'file')}"
        if findings
        else f"{counted(files, 'file')} checked"
    )
    return f"{state}, {counted(changed, 'file')} corrected" if changed else state


STEP = Step(
    name="lint",
    summary="Find mistakes in the Dockerfiles, requirements, code and committed files of an MLflow project, offline.",
    inputs=Inputs,
    outputs=Outputs,
    run=run,
    hook=Hook(files="", name="mistakes in MLflow projects"),
    rule_hooks=tuple(
        RuleHook(
            id=rule.id,
            name=rule.summary.removesuffix("."),
            summary=rule.summary,
            files=rule.files,
            inputs={"rules": rule.name},
        )
        for rule in rules()
    ),
    needs_project=False,
)
