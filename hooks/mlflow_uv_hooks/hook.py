"""Runs the step of a hook on every project to which the changed files belong."""

import os
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from mlflow_uv.command.errors import BadInput, BadProject, StepError
from mlflow_uv.command.host import Host
from mlflow_uv.command.report import Report
from mlflow_uv.command.settings import KEYS
from mlflow_uv.command.step import SETTINGS, Field, FieldKind, Step, fields_of, refuse_unknown, settle
from mlflow_uv.command.wording import CommandLine, suggestion
from mlflow_uv.payloads.messages.lazy_dataclass import lazy_dataclass
from mlflow_uv.steps.catalog import NAMES, step_of, steps
from mlflow_uv.surfaces.collection import resume_collection
from mlflow_uv.surfaces.hiding import hide_environment
from mlflow_uv.surfaces.phrasing import ActionSource
from mlflow_uv.surfaces.terminal import Terminal, terminal, unforeseen
from mlflow_uv.tools.lock_toolbox import LockTools, locktools
from mlflow_uv.tools.project.checkout import given_layer, settings_layer
from mlflow_uv.tools.project.dependants import dependants
from mlflow_uv.tools.project.files import Project, members, path_from, read_project
from mlflow_uv.tools.project.tree import projects_of


@lazy_dataclass
class Call:
    """A hook's command line: the step, the flags from the user's `args`, and the changed files."""

    step: Step[Any, Any, Any]
    flags: Mapping[str, object]
    files: tuple[Path, ...]


def main(argv: list[str] | None = None) -> int:
    """Run the step on every project of the changed files; return the exit code. Without findings nothing is printed."""
    if argv is None:
        hide_environment()
    console = _console()
    try:
        call = _parse(sys.argv[1:] if argv is None else argv)
        resume_collection()
        host = Host.of(os.environ, folder=Path.cwd(), python=Path(sys.executable))
        uv = call.flags.get("uv")
        with locktools(host, console=console, uv=Path(str(uv)) if uv else None) as tools:
            tasks = [partial(_run, call, folder, tools) for folder in _folders(call, tools)]
            return max((show() for show in tools.runner.side_by_side(tasks)), default=0)
    except StepError as error:
        console.error(error)
        return error.exit_code
    except KeyboardInterrupt:
        return 130
    except Exception as error:  # noqa: BLE001  # a surface
        return _error(unforeseen("the hook", error, console), console)


def _console(project: str = "") -> Terminal:
    """A console whose fixes name the command that runs without an installation, for a project."""
    return terminal(CommandLine(program=ActionSource().program, project=project))


def _run(call: Call, folder: Path, tools: LockTools) -> Callable[[], int]:
    """Run the step on one project; the result prints its report or error, and returns the exit code."""
    where = tools.host.folder
    console = _console("" if folder == where else path_from(where, folder))
    try:
        inputs = _inputs(call, folder)
        return partial(_report, call, inputs, call.step.run(inputs, tools), console)
    except StepError as error:
        error.path = error.path or folder / "pyproject.toml"
        return partial(_error, error, console)


def _error(error: StepError, console: Terminal) -> int:
    console.error(error)
    return error.exit_code


def _report(call: Call, inputs: Any, report: Report[Any], console: Terminal) -> int:
    for finding in report.findings:
        console.finding(finding)
    if call.step.name == "export" and report.outputs.changed and not inputs.check:
        console.say(f"{', '.join(report.outputs.written)} was written. Fix: stage it and commit again")
        return 1
    return 0 if report.ok else 1


def _inputs(call: Call, folder: Path) -> Any:
    project = _project(folder)
    refuse_unknown(project.settings if project else {}, KEYS, source=SETTINGS)
    inputs = settle(
        call.step.inputs,
        (
            given_layer("--{}", {"project": str(folder), **call.flags}, project),
            settings_layer(call.step.inputs, project, os.environ),
        ),
    )
    if call.step.name == "check-lock":
        return replace(inputs, alone=True)  # the files say which projects
    if call.step.name == "lint":
        return replace(inputs, files=tuple(map(str, call.files)))
    named = inputs.requirements_file or inputs.pylock_file or inputs.sbom_file
    return inputs if named else replace(inputs, requirements_file=Path("requirements.txt"))


def _project(folder: Path) -> Project | None:
    try:
        return read_project(folder)
    except BadProject:
        return None  # the step says so, with the line


def _folders(call: Call, tools: LockTools) -> list[Path]:
    """
    The folders to run on, each once.

    check-lock runs on the root of each lock, export on its configured projects, and lint where the hook was started.
    """
    top = tools.host.folder
    if call.step.name == "lint":
        return [top]
    projects = projects_of(call.files, top)
    roots = [project.root if isinstance(project, Project) else project.path.parent for project in projects]
    if call.step.name == "check-lock":
        return list(dict.fromkeys((*roots, *dependants(call.files, top, tools.git))))
    return [folder for root in roots for folder in _served(root)]


def _served(root: Path) -> list[Path]:
    """Projects under this lock that carry `[tool.mlflow-uv]`, else the root itself if it is a project."""
    try:
        project = read_project(root)
        candidates: tuple[Project, ...] = (project, *members(project))
    except BadProject:
        return [root]
    configured = [candidate.folder for candidate in candidates if candidate.settings]
    return configured or ([root] if project.named else [])


def _hook(name: str) -> tuple[Step[Any, Any, Any], Mapping[str, str]]:
    """The step of a hook and its inputs, loaded alone: what the others import takes longer than the hook itself."""
    owner = next((step for step in NAMES if name == step or name.startswith(f"{step}-")), "")
    if owner and (step := step_of(owner)).hook is not None:
        if name == owner:
            return step, {}
        for hook in step.rule_hooks:
            if hook.id == name:
                return step, hook.inputs
    known = (hook for step in steps() if step.hook for hook in (step.name, *(rule.id for rule in step.rule_hooks)))
    raise BadInput(what="no such hook", why=f"known are {', '.join(known)}")


def _parse(arguments: list[str]) -> Call:
    """Parse the flags from `args` of the configuration, then file names; after `--` every word is a file name."""
    step, preset = _hook(arguments[0] if arguments else "")
    known = {flag: field for field in fields_of(step.inputs) for flag in field.flags}
    flags: dict[str, object] = dict(preset)
    files: list[Path] = []
    rest = iter(arguments[1:])
    for word in rest:
        name = word.partition("=")[0]
        if word == "--":
            files += map(Path, rest)
        elif name in known:
            flags[known[name].kebab] = _value(known[name], word, rest, known, step)
        elif word.startswith("--") and not Path(word).exists():
            why = suggestion(name, known) or f"its flags are {', '.join(sorted(known))}"
            raise BadInput(what=f"`{name}` is not a flag of {step.name}", why=why)
        else:
            files.append(Path(word))
    return Call(step=step, flags=flags, files=tuple(file.absolute() for file in files))


def _value(
    field: Field, word: str, rest: Iterator[str], known: Mapping[str, Field], step: Step[Any, Any, Any]
) -> object:
    """
    The value that a flag sets, which is in the same word or in the next one; a switch needs none.

    Raises BadInput if the next word is a flag or a changed file: pre-commit appends those to the `args`.
    """
    name, equals, value = word.partition("=")
    if field.kind is FieldKind.SWITCH:
        if equals and name != field.flags[0]:
            raise BadInput(what=f"`{name}` takes no value", why=f"it is `{value}`")
        return value if equals else name == field.flags[0]
    if equals:
        return value
    following = next(rest, None)
    if following is None:
        why = "it is the last word"
    elif following.partition("=")[0] in known or following == "--":
        why = f"the next word is `{following}`"
    elif field.kind is not FieldKind.PATH and _is_changed(following, step):
        why = f"the next word is the changed file `{following}`"
    else:
        return following
    raise BadInput(what=f"`{name}` has no value", why=why, fix=f"args: [{name}=VALUE]")


def _is_changed(word: str, step: Step[Any, Any, Any]) -> bool:
    return step.hook is not None and re.search(step.hook.files, word) is not None and Path(word).is_file()
