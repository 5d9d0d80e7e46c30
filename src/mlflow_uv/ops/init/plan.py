"""Plans the files that a project needs: its settings, workflows and hooks. No file is replaced."""

import json
import posixpath
import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from ...command.lazy_pattern import lazy_pattern
from ...core.init.entry_points import TrainingEntryPoint, training_entry_point
from ...core.init.training_scripts import TrainingScript, training_command, training_scripts
from ...core.lint.locked_packages import locked_packages
from ...core.lock.lockfile import NotALock, read_lockfile
from ...core.security.size_limits import MANIFEST_LIMIT
from ...core.security.toml_documents import Unparsable, parse_toml
from ...core.security.yaml_scalars import quoted_yaml, yaml_scalar
from ...payloads.messages.lazy_dataclass import lazy_dataclass
from ...tools.project.files import table_of
from ..lint.folder import CheckedFolder
from ..lock.served_selection import mlflow_holder

ACTION = "mlflow-uv-action"
HOOKS = ".pre-commit-config.yaml"
WORKFLOWS = ".github/workflows"
TEMPLATES = {"check.yml": "mlflow-uv-check.yml", "comment.yml": "mlflow-uv-comment.yml",
             "call-release.yml": "mlflow-uv-release.yml"}  # fmt: skip
_MOST_FILES = 20_000
# Files with commands that people and machines run; of each the beginning is read.
_DOCUMENTS = ("Makefile", "justfile", "README.md", "README.rst", "dvc.yaml", "Taskfile.yml", "noxfile.py", "MLproject",
              "mise.toml", "poe_tasks.toml", "run.sh", "train.sh")  # fmt: skip
# Tables of a manifest with commands: those of poe, PDM, taskipy and hatch.
_TASKS = (("poe", "tasks"), ("pdm", "scripts"), ("taskipy", "tasks"), ("hatch", "envs"))
_LONGEST = 200_000  # characters
_MARK = "\ufeff"
_HEADER = lazy_pattern(
    r"^[ \t]*\[[ \t]*tool[ \t]*\.[ \t]*[\"']?mlflow-uv[\"']?[ \t]*\][ \t]*(#[^\r\n]*)?(\r?\n|\Z)", re.MULTILINE
)
_BRANCHES = "branches: [main]"  # in the templates
_TARGETS = "      targets: linux-x86_64-py3.11\n"  # in a template; a project is checked for its own Python


@lazy_dataclass
class PlannedFile:
    """A file below the root of the repository: its text, None if it is new, and what it becomes."""

    path: str
    before: str | None
    after: str


@lazy_dataclass
class InitPlan:
    """What is written, how the project trains (empty if that was not found out), and what the user should know."""

    files: tuple[PlannedFile, ...]
    train: str
    scripts: tuple[TrainingScript, ...]
    notes: tuple[str, ...]


def init_plan(root: Path, project: str, paths: tuple[str, ...], *, name: str, branch: str | None = None) -> InitPlan:
    """
    Plan the files of a project in a folder below the root of its repository, empty for the root itself.

    `paths` are the files of the repository, `name` that of the project, `branch` the one that is
    released; without it, `main`, and a note says so. Raises Unparsable for its manifest.
    """
    files = CheckedFolder(str(root))
    below = tuple(_below(path, project) for path in paths if _is_below(path, project))
    texts = ((path, files.text(posixpath.join(project, path))) for path in below[:_MOST_FILES] if path.endswith(".py"))
    documents = (files.text(posixpath.join(project, name)) for name in _DOCUMENTS)
    workflows = (files.text(path) for path in paths if path.startswith(f"{WORKFLOWS}/"))
    manifest_path = posixpath.join(project, "pyproject.toml")
    manifest = _whole(files, manifest_path)
    table = _parsed(manifest)
    tasks = (task for names in _TASKS for task in _texts_in(table_of(table, "tool", *names)))
    scripts = training_scripts(
        ((path, text) for path, text in texts if text is not None),
        [text[:_LONGEST] for text in (*documents, *tasks, *workflows) if text is not None],
        table_of(table, "project", "scripts"),
    )
    settings = table_of(table, "tool", "mlflow-uv")
    entry_point = _entry_point(files.text(posixpath.join(project, "MLproject")))
    train = {"entry-point": entry_point.name} if entry_point.name else _train(scripts, below, table)
    planned: list[PlannedFile] = []
    notes: list[str] = [] if train or not entry_point.note else [entry_point.note]
    if any(not isinstance(value, dict) for value in settings.values()):
        notes.append("pyproject.toml has [tool.mlflow-uv] already; it is not changed")
        train = {key: str(settings[key]) for key in ("train", "entry-point", "function", "model") if key in settings}
    else:
        registered = scripts[0].registers if "train" in train else ""
        model = {"model-name": registered or name}
        values: dict[str, str | list[str]] = {**train, **model, **_selection(files, project, name)}
        planned.append(PlannedFile(path=manifest_path, before=manifest, after=_with_settings(manifest, values)))
        if "train" in train and scripts[0].name_unclear:
            notes.append(
                f"{scripts[0].path} has no single name as its `registered_model_name`: see whether `model-name` in"
                f" [tool.mlflow-uv], which is `{model['model-name']}`, is the right one"
            )
        if "train" in train and scripts[0].lacks:
            words = ", ".join(f"`{argument}`" for argument in scripts[0].lacks)
            notes.append(f"{scripts[0].path} requires {words}: add values to `train` in [tool.mlflow-uv]")
    for file in _workflows(files, paths, project, notes):
        planned.append(replace(file, after=file.after.replace(_BRANCHES, f"branches: [{_pattern(branch)}]")))
        if branch is None and _BRANCHES in file.after:
            notes.append(
                f"git names no branch that is released: see whether `{_BRANCHES}` in {file.path} is the right one"
            )
    planned += _hooks(files, notes)
    notes += _about(files, below, project)
    return InitPlan(
        files=tuple(planned), train=" ".join(train.values()), scripts=scripts, notes=tuple(dict.fromkeys(notes))
    )


def template(name: str) -> str:
    """The text of a template, which is an example of the documentation too."""
    return Path(__file__).with_name("templates").joinpath(name).read_text(encoding="utf-8")


def _entry_point(mlproject: str | None) -> TrainingEntryPoint:
    if mlproject is None:
        return TrainingEntryPoint()
    return training_entry_point(mlproject)


def _train(scripts: tuple[TrainingScript, ...], below: tuple[str, ...], table: Mapping[str, Any]) -> dict[str, str]:
    """The setting that says which script trains; empty if several are equally likely, or there is none."""
    if not scripts or scripts[0].score < 0 or (len(scripts) > 1 and scripts[1].score == scripts[0].score):
        return {}
    return {"train": training_command(scripts[0], frozenset(below), table_of(table, "project", "scripts"))}


def _texts_in(value: object) -> Iterator[str]:
    """The texts in tables and arrays of a manifest, in their order."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, list | dict):
        for part in value.values() if isinstance(value, dict) else value:
            yield from _texts_in(part)


def _whole(files: CheckedFolder, path: str) -> str:
    """The text of a manifest with its byte-order mark and line ends. Raises Unparsable if it is outside."""
    data = files.read(path, MANIFEST_LIMIT)
    if data is None:
        raise Unparsable("the file is not in the repository, or too large")
    return data.decode(errors="surrogateescape")


def _parsed(manifest: str) -> Mapping[str, Any]:
    return parse_toml(manifest.removeprefix(_MARK).encode(errors="surrogateescape"), limit=MANIFEST_LIMIT)


def _selection(files: CheckedFolder, project: str, name: str) -> dict[str, list[str]]:
    """The setting that adds the group or extra with MLflow to what is served; empty if it is not needed, or unknown."""
    folder = project
    while (text := files.text(posixpath.join(folder, "uv.lock"))) is None and folder:
        folder = folder.rpartition("/")[0]  # a member of a workspace has the lock of the workspace
    try:
        kind, holder = mlflow_holder(read_lockfile(text.encode()), name) if text else ("", "")
    except NotALock:
        return {}
    return {kind: [holder]} if holder else {}


def _with_settings(manifest: str, values: Mapping[str, str | list[str]]) -> str:
    """
    The manifest with settings, in its own line ends: below an empty table, or in a new one at the end.

    Raises Unparsable if the result does not have them, such as where `tool` is an inline table.
    """
    end = "\r\n" if "\r\n" in manifest else "\n"
    rows = "".join(f"{key} = {json.dumps(value, ensure_ascii=False)}{end}" for key, value in values.items())
    if header := _HEADER.search(manifest):
        before = manifest[: header.end()]
        after = f"{before}{'' if before.endswith(chr(10)) else end}{rows}{manifest[header.end() :]}"
    else:
        last = "" if manifest.endswith("\n") or not manifest.removeprefix(_MARK) else end
        after = f"{manifest}{last}{end}[tool.mlflow-uv]{end}{rows}"
    written = table_of(_parsed(after), "tool", "mlflow-uv")
    if values != {key: value for key, value in written.items() if not isinstance(value, dict)}:
        raise Unparsable("the settings would not be read from where they are written")
    return after


def _workflows(files: CheckedFolder, paths: tuple[str, ...], project: str, notes: list[str]) -> Iterator[PlannedFile]:
    present = [path for path in paths if path.startswith(f"{WORKFLOWS}/") and path.endswith((".yml", ".yaml"))]
    using = [path for path in present if ACTION in (files.text(path) or "")]
    if using:
        notes.append(f"{using[0]} uses the action already; no workflow is written")
        return
    for source, name in TEMPLATES.items():
        path = f"{WORKFLOWS}/{name}"
        if files.exists(path):
            notes.append(f"{path} exists; it is not changed")
            continue
        text = template(source).replace(_TARGETS, "")
        if project:
            text = text.replace("    with:\n", f"    with:\n      project: {quoted_yaml(project)}\n")
        yield PlannedFile(path=path, before=None, after=text.removesuffix("    with:\n"))


def _pattern(branch: str | None) -> str:
    """A branch as a filter of GitHub in YAML, in which `+` and a leading `!` have a meaning."""
    name = branch or "main"
    return yaml_scalar(re.sub(r"[+!]", r"\\\g<0>", name))


def _hooks(files: CheckedFolder, notes: list[str]) -> Iterator[PlannedFile]:
    if not files.exists(HOOKS):
        yield PlannedFile(path=HOOKS, before=None, after=template("pre-commit-config.yaml"))
    elif ACTION not in (files.text(HOOKS) or ""):
        lines = template("pre-commit-config.yaml").partition("\n")[2].rstrip().split("\n")
        notes.append(f"add to `repos` in {HOOKS}, which is not changed:")
        notes += lines


def _about(files: CheckedFolder, below: tuple[str, ...], project: str) -> Iterator[str]:
    """Yield what stands in the way of a release."""
    lock = files.text(posixpath.join(project, "uv.lock"))
    if lock is None and files.lock_of(project) is None:
        yield "there is no uv.lock yet: run `uv lock`, and commit it"
    else:
        known = locked_packages(lock, folder=project) if lock is not None else files.lock_of(project)
        if known is not None and not {"mlflow", "mlflow-skinny"} & known.versions.keys():
            yield "mlflow is not in the lock: run `uv add mlflow`"
    dockerfiles = [path for path in below if posixpath.basename(path).startswith("Dockerfile")]
    if dockerfiles:
        yield f"build-image makes the serving image, and does not use {dockerfiles[0]}; lint checks it"


def _is_below(path: str, project: str) -> bool:
    return not project or path.startswith(f"{project}/")


def _below(path: str, project: str) -> str:
    return path[len(project) + 1 :] if project else path
