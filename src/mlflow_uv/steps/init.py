"""Sets a project up: finds out how it trains, and writes its settings, workflows and hooks."""

import difflib
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

from ..command.errors import BadProject
from ..command.inputs import DryRunInputs, ProjectInputs
from ..command.report import Finding, Report, Severity, counted
from ..command.step import Doc, Step
from ..core.security.control_characters import visible
from ..core.security.toml_documents import Unparsable
from ..ops.init.plan import InitPlan, PlannedFile, init_plan
from ..payloads.messages.lazy_dataclass import lazy_dataclass
from ..tools.lock_toolbox import LockTools
from ..tools.project.files import absolute, read_project, require_parent, target_of, write_atomically
from ..tools.project.tree import walked

_EXPRESSION = "${{"  # begins an expression of a workflow


@lazy_dataclass
class Inputs(ProjectInputs, DryRunInputs):
    """Inputs of init: the project, and whether anything is written."""


@lazy_dataclass
class Outputs:
    """Outputs of init."""

    training: Annotated[str, Doc("How the project trains: a command or an entry point; empty if it was not found out.")]
    flavor: Annotated[str, Doc("MLflow flavor of the model, as the training script names it; empty if unknown.")]
    setup_files: Annotated[tuple[str, ...], Doc("Paths of the files that were written, or would be with dry-run.")]


def run(inputs: Inputs, tools: LockTools) -> Report[Outputs]:
    """Read the files of the repository, and write what is missing. Raises BadProject, BadInput, ToolFailed."""
    folder = absolute(inputs.project)
    project = read_project(folder)
    root = (tools.git.top(folder) or project.root).resolve()
    below = folder.resolve().relative_to(root).as_posix()
    if why := _unnameable(below):
        raise BadProject(what=f"the folder `{below}` cannot be named in a workflow", why=why, fix="rename the folder")
    names = tools.git.names_below(root, tracked=False)
    paths = tuple(sorted(names if names is not None else walked(root)))
    try:
        plan = init_plan(
            root, "" if below == "." else below, paths, name=project.name, branch=tools.git.default_branch(folder)
        )
    except Unparsable as error:
        raise BadProject(what="[tool.mlflow-uv] cannot be added to pyproject.toml", why=str(error)) from error
    for file in plan.files:
        # All are refused before the first is written.
        require_parent(target_of(root / file.path, root), f"remove or rename what is in the place of `{file.path}`")
    if not inputs.dry_run:
        for file in plan.files:
            write_atomically(root / file.path, file.after.encode(errors="surrogateescape"), within=root)
    verb = "would be written" if inputs.dry_run else "written"
    return Report(
        outputs=Outputs(
            training=plan.train,
            flavor=plan.training.script.flavor if plan.training.script else "",
            setup_files=tuple(file.path for file in plan.files),
        ),
        summary=f"{counted(len(plan.files), 'file')} {verb}; "
        + (f"the project trains with `{plan.train}`" if plan.train else "the command that trains is not known"),
        result=("".join(_difference(file) for file in plan.files) or None) if inputs.dry_run else None,
        findings=tuple(_findings(plan, folder, inputs.project)),
        advice=(*(() if inputs.dry_run else (f"wrote {file.path}" for file in plan.files)), *plan.notes),
    )


def _unnameable(folder: str) -> str:
    """Why a workflow cannot name a folder; empty if it can."""
    if _EXPRESSION in folder:
        return f"GitHub evaluates what follows `{_EXPRESSION}`"
    return "" if visible(folder) == folder else "it has control characters, or bytes that are not UTF-8"


def _difference(file: PlannedFile) -> str:
    before = [] if file.before is None else _lines(file.before)
    source = "/dev/null" if file.before is None else f"a/{file.path}"
    rows = difflib.unified_diff(before, _lines(file.after), source, f"b/{file.path}")
    return "".join(row if row.endswith("\n") else f"{row}\n\\ No newline at end of file\n" for row in rows)


def _lines(text: str) -> list[str]:
    """The lines of a text as git counts them: they end with LF alone."""
    return [line for line in re.split(r"(?<=\n)", text) if line]


def _findings(plan: InitPlan, folder: Path, project: Path) -> Iterator[Finding]:
    """A warning if it is not known how the project trains: the choice is the user's."""
    if plan.train:
        return
    choices, other, settings = plan.training.choices, plan.training.other_project, plan.training.settings
    likely = (project / other).as_posix() if other else ""
    # What was found out is not written where the user has the table already.
    rows = settings or {"train": choices[0] if choices else "python …"}
    named = ", ".join(f"`{key} = {json.dumps(value, ensure_ascii=False)}`" for key, value in rows.items())
    yield Finding(
        rule="init-training",
        what="[tool.mlflow-uv] does not say how the project trains" if settings else _unknown(choices),
        why="it is not changed"
        if settings
        else ", ".join(f"`{command}`" for command in choices) or plan.training.without,
        fix=f"set up the project in `{likely}` instead"
        if other
        else f"name the command as {named} in [tool.mlflow-uv]",
        severity=Severity.WARNING,
        path=folder / "pyproject.toml",
    )


def _unknown(choices: tuple[str, ...]) -> str:
    match len(choices):
        case 0:
            return "no script that logs a model was found"
        case 1:
            return "the only command that may train is not likely to be the right one"
        case _:
            return "several commands may be the one that trains"


STEP = Step(
    name="init",
    summary="Set a project up: find out how it trains, and write its settings, workflows and hooks.",
    inputs=Inputs,
    outputs=Outputs,
    run=run,
)
