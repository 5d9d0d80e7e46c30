"""Finds out how a project trains, from its files alone."""

import posixpath
import shlex
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

from ...core.init.entry_points import TrainingEntryPoint, training_entry_point
from ...core.init.run_commands import CommandDocument, run_commands
from ...core.init.training_scripts import TrainingScript, run_recorders, training_command, training_scripts
from ...core.security.control_characters import visible
from ...payloads.messages.lazy_dataclass import lazy_dataclass
from ...tools.project.files import table_of
from ..lint.folder import CheckedFolder
from .project_documents import project_documents

_MOST_FILES = 20_000
_MOST_BYTES = 100_000_000  # of all scripts
_MOST_NOTEBOOKS = 100
_MOST_CONFIGURATIONS = 200
_SHOWN = 3  # commands, scripts or notebooks that are named
_LOGS = ("log_model(", "autolog(")
_NO_COMMANDS = "uv does not install this project, so that [project.scripts] has no commands: {}"


@lazy_dataclass
class Training:
    """
    How a project trains: the settings that say so, empty if that was not found out, and the script if it is one.

    `choices` are commands of which one may train, the most likely first. `without` says what was found if there is
    none, and `other_project` is the folder of another project below this one that has some.
    """

    settings: Mapping[str, str | list[str]]
    script: TrainingScript | None
    choices: tuple[str, ...]
    without: str
    other_project: str
    notes: tuple[str, ...]


def find_training(
    files: CheckedFolder, project: str, below: Sequence[str], manifest: Mapping[str, Any], workflows: Iterable[str]
) -> Training:
    """
    Return how a project in a folder of a repository trains.

    The first of these that is clear: an entry point of its `MLproject`, `kedro run` if it is one of Kedro, the script
    that most speaks for. `below` are the files of the project, by their paths in its folder.
    """
    texts = _python_texts(files, project, below)
    documents = tuple(project_documents(files, project, below, manifest, workflows))
    others = _projects_below(below)
    entries = table_of(manifest, "project", "scripts")
    not_installed = _why_not_installed(manifest)
    configured = _configures_mlflow(files, project, below)
    scripts = training_scripts(
        texts.items(), documents, entries, installed=not not_installed, apart=others, configured=configured
    )
    commands = [training_command(script, frozenset(below), texts[script.path]) for script in scripts]
    mlproject = files.text(posixpath.join(project, "MLproject"))
    entry_point = TrainingEntryPoint() if mlproject is None else training_entry_point(mlproject, below)
    settings: dict[str, str | list[str]] = {}
    script, notes = None, [entry_point.note] if entry_point.note else []
    if entries and not_installed:
        notes.append(_NO_COMMANDS.format(not_installed))
    if entry_point.name:
        settings["entry-point"] = entry_point.name
        if entry_point.parameters:
            settings["parameters"] = list(entry_point.parameters)
    elif table_of(manifest, "tool", "kedro"):
        settings["train"] = _kedro_command(documents)
    elif scripts and scripts[0].score >= 0 and (len(scripts) == 1 or scripts[0].score > scripts[1].score):
        script = scripts[0]
        settings["train"] = commands[0]
        notes += _about(script, commands)
    likely = [command for command, found in zip(commands, scripts, strict=True) if found.score >= 0]
    return Training(
        settings=settings,
        script=script,
        choices=tuple((likely or commands)[:_SHOWN]),
        without="" if settings or scripts else _without(files, project, below, texts, others),
        other_project="" if settings or scripts else _other_project(texts, others),
        notes=() if settings and script is None else tuple(notes),
    )


def _why_not_installed(manifest: Mapping[str, Any]) -> str:
    """
    Why uv installs the dependencies of the project and not the project itself; empty if it installs both.

    It does if the manifest has a build system, unless `tool.uv.package` decides (uv's documentation, "Build systems").
    """
    package = table_of(manifest, "tool", "uv").get("package")
    if isinstance(package, bool):
        return "" if package else "tool.uv.package is false"
    return "" if "build-system" in manifest else "it has no [build-system]"


def _python_texts(files: CheckedFolder, project: str, below: Sequence[str]) -> dict[str, str]:
    """
    The texts of the scripts and modules, those at the top first, until they are too many.

    Those whose path has control characters, or bytes that are not UTF-8, are left out: no setting can name all.
    """
    texts: dict[str, str] = {}
    size = 0
    scripts = (path for path in below if path.endswith(".py") and visible(path) == path)
    for path in sorted(scripts, key=lambda path: (path.count("/"), path))[:_MOST_FILES]:
        text = files.text(posixpath.join(project, path)) if size < _MOST_BYTES else None
        if text is not None:
            texts[path] = text
            size += len(text)
    return texts


def _configures_mlflow(files: CheckedFolder, project: str, below: Iterable[str]) -> bool:
    """Whether a configuration names a logger of MLflow, as one of Hydra does for Lightning."""
    configurations = (path for path in below if path.endswith((".yaml", ".yml")) and "/" in path)
    texts = (files.text(posixpath.join(project, path)) for path in islice(configurations, _MOST_CONFIGURATIONS))
    return any("MLFlowLogger" in text for text in texts if text is not None)


def _projects_below(below: Iterable[str]) -> tuple[str, ...]:
    """The folders of other projects, with a slash at the end."""
    return tuple(path.removesuffix("pyproject.toml") for path in below if path.endswith("/pyproject.toml"))


def _kedro_command(documents: Iterable[CommandDocument]) -> str:
    """`kedro run`, with the arguments of a document whose target is named after training."""
    runs = [run for run in run_commands(documents) if run.program == "kedro" and run.arguments]
    named = [run.arguments for run in runs if run.trains and run.arguments]
    return shlex.join(("kedro", *(named[0] if named else ("run",))))


def _about(script: TrainingScript, commands: Sequence[str]) -> Iterator[str]:
    """Yield what should be looked at before the first release."""
    if script.lacks:
        words = ", ".join(f"`{argument}`" for argument in script.lacks)
        yield f"{script.path} requires {words}: add values to `train` in [tool.mlflow-uv]"
    if not script.logs:
        yield (
            f"neither {script.path} nor a file that it imports was seen to call `log_model` or `autolog` of MLflow:"
            " a release needs a logged model"
        )
    if commands[1:]:
        yield f"other commands that may train: {', '.join(f'`{command}`' for command in commands[1:_SHOWN])}"


def _without(
    files: CheckedFolder, project: str, below: Iterable[str], texts: Mapping[str, str], others: Sequence[str]
) -> str:
    """What was found in a project without a script that logs a model."""
    if other := _other_project(texts, others):
        return f"those of `{other}` belong to another project"
    notebooks = (path for path in below if path.endswith(".ipynb"))
    logging = [
        path
        for path in islice(notebooks, _MOST_NOTEBOOKS)
        if any(call in (files.text(posixpath.join(project, path)) or "") for call in _LOGS)
    ]
    if logging:
        return f"only notebooks do: {_listed(logging)}"
    recorders = run_recorders(texts.items(), apart=others)
    if recorders:
        return f"runs are recorded, without a model, by {_listed(recorders)}"
    return "none calls `log_model` or `autolog` of MLflow"


def _other_project(texts: Mapping[str, str], others: Sequence[str]) -> str:
    """The folder of another project below this one that has a script that trains; empty if there is none."""
    for folder in others:
        inside = {path.removeprefix(folder): text for path, text in texts.items() if path.startswith(folder)}
        apart = tuple(other.removeprefix(folder) for other in others if other != folder and other.startswith(folder))
        if training_scripts(inside.items(), apart=apart):
            return folder.rstrip("/")
    return ""


def _listed(paths: Sequence[str]) -> str:
    return ", ".join(f"`{path}`" for path in paths[:_SHOWN])
