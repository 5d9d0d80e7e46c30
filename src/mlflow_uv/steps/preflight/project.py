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
from .. import check_lock, check_targets, log_model
from .context import Circumstances, Problem


def lock(circumstances: Circumstances) -> str | tuple[Problem, ...]:
    """Run check-lock."""
    return _errors(check_lock.run(circumstances.inputs_of("check-lock"), circumstances.tools))


def targets(circumstances: Circumstances) -> str | tuple[Problem, ...]:
    """Run check-targets, if the lock can be read."""
    if circumstances.lock_is_bad:
        return ""
    return _errors(check_targets.run(circumstances.inputs_of("check-targets"), circumstances.tools))


def way(circumstances: Circumstances) -> str:
    """Check that there is one model source, and that the files and variables it names exist."""
    inputs, project = circumstances.inputs_of("log-model"), circumstances.project
    chosen = log_model.model_source(inputs, project, circumstances.tools)
    serve_variables(inputs.serve_env, circumstances.tools.host.variables)
    ignored_paths(inputs.ignore_answers)
    for name, file in (("model", inputs.model), ("input-example", inputs.input_example)):
        if file is not None and not (project.folder / file).exists():
            raise BadInput(
                what=f"`{name}` does not exist",
                why=f"`{file}` is not a file of {project.name}",
                fix=option(name, "PATH"),
            )
    return f"{chosen.kind.value} {' '.join(chosen.words)}"


def commit(circumstances: Circumstances) -> str:
    """Check that the project has a commit."""
    return circumstances.tools.git.commit(circumstances.project.folder).description


def mlflow(circumstances: Circumstances) -> str:
    """Check that the served selection has an MLflow version that can log."""
    if circumstances.lock_is_bad:
        return ""
    inputs, project = circumstances.inputs_of("log-model"), circumstances.project
    requirements = circumstances.tools.uv.export(project, circumstances.selection, respect_env=inputs.respect_env)
    require_mlflow(requirements, circumstances.selection, project)
    versions = [pin.version for pin in requirements.pins if pin.name in SERVERS and pin.version]
    require_logging(versions)
    return f"MLflow {', '.join(dict.fromkeys(versions))}"


def python(circumstances: Circumstances) -> str:
    """Check that uv has the project's Python or can download it."""
    if circumstances.lock_is_bad:
        return ""
    version, why = circumstances.python()
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
