"""Checks what training needs of the project: lock, model source, commit, MLflow and Python."""

from typing import Any

from ...command.errors import BadInput, ToolMissing
from ...command.report import Report, Severity
from ...command.wording import option
from ...core.model.ignored_answers import ignored_paths
from ...core.model.mlflow_version import require_logging
from ...core.model.model_files import SERVERS
from ...core.security.serve_env import serve_variables
from ...ops.lock.served_selection import require_mlflow
from ...tools.project.files import path_from
from .. import check_lock, check_targets, log_model
from .context import PreflightContext, Problem


def lock(context: PreflightContext) -> str | tuple[Problem, ...]:
    """Run check-lock."""
    return _errors(check_lock.run(context.inputs.check_lock, context.tools))


def targets(context: PreflightContext) -> str | tuple[Problem, ...]:
    """Run check-targets, if the lock can be read."""
    if context.lock_is_bad:
        return ""
    return _errors(check_targets.run(context.inputs.check_targets, context.tools))


def model_source(context: PreflightContext) -> str:
    """Check that there is one model source, and that the files and variables it names exist."""
    inputs, project = context.inputs.log_model, context.project
    chosen = log_model.model_source(inputs, project, context.tools)
    serve_variables(inputs.serve_env, context.tools.host.variables)
    ignored_paths(inputs.ignore_answers)
    for name, file in (("model", inputs.model), ("input-example", inputs.input_example), ("cases", inputs.cases)):
        if file is not None and not (project.folder / file).exists():
            raise BadInput(
                what=f"`{name}` does not exist",
                why=f"`{file}` is not a file of {project.name}",
                fix=option(name, "PATH"),
            )
    return f"{chosen.kind.value} {' '.join(chosen.words)}"


def written_tracking_uri(context: PreflightContext) -> str | tuple[Problem, ...]:
    """
    Warn of tracking servers that do not listen although code or configuration names them.

    A warning is printed at once, because it is reported after the training only.
    """
    inputs, project, tools = context.inputs.log_model, context.project, context.tools
    if inputs.model or inputs.from_run or inputs.from_model:
        return ""  # no code is run that could set it
    from ...ops.lint.written_servers import servers_not_listening  # noqa: PLC0415  # few commands reach it

    warnings = tuple(servers_not_listening(project.folder, tools.git))
    for warning in warnings:
        place = "" if warning.path is None else f"{path_from(tools.host.folder, warning.path)}:{warning.line}: "
        tools.console.say(f"{place}{warning.text}")
    return warnings


def commit(context: PreflightContext) -> str:
    """Check that the project has a commit."""
    return context.tools.git.commit(context.project.folder).description


def mlflow(context: PreflightContext) -> str:
    """Check that the served selection has an MLflow version that can log."""
    if context.lock_is_bad:
        return ""
    inputs, project = context.inputs.log_model, context.project
    requirements = context.tools.uv.export(project, context.selection, respect_env=inputs.respect_env)
    require_mlflow(requirements, context.selection, project)
    versions = [pin.version for pin in requirements.pins if pin.name in SERVERS and pin.version]
    require_logging(versions)
    return f"MLflow {', '.join(dict.fromkeys(versions))}"


def python(context: PreflightContext) -> str:
    """Check that uv has the project's Python or can download it."""
    if context.lock_is_bad:
        return ""
    version, why = context.python()
    if why:
        raise ToolMissing(
            what="the project's Python is not installed, and uv cannot download it",
            why=why,
            fix="uv python install, a newer uv, or another `requires-python` or .python-version",
        )
    return f"Python {version}" if version else "uv downloads it"


def _errors(report: Report[Any]) -> str | tuple[Problem, ...]:
    """Return the errors of a report, or its summary; the step itself reports the other findings."""
    errors = tuple(finding for finding in report.findings if finding.severity is Severity.ERROR)
    return errors or report.summary
