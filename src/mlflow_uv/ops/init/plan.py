"""Plans the files that a project needs: its settings, workflows and hooks. No file is replaced."""

import json
import posixpath
import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from ...command.lazy_pattern import lazy_pattern
from ...core.lint.locked_packages import locked_packages
from ...core.lock.lockfile import NotALock, read_lockfile
from ...core.security.size_limits import LOCK_LIMIT, MANIFEST_LIMIT
from ...core.security.toml_documents import Unparsable, parse_toml
from ...core.security.yaml_scalars import quoted_yaml, yaml_scalar
from ...payloads.messages.lazy_dataclass import lazy_dataclass
from ...tools.project.files import table_of
from ..lint.folder import CheckedFolder
from ..lock.served_selection import mlflow_holder
from .training import Training, find_training

ACTION = "mlflow-uv-action"
HOOKS = ".pre-commit-config.yaml"
WORKFLOWS = ".github/workflows"
TEMPLATES = {"check.yml": "mlflow-uv-check.yml", "comment.yml": "mlflow-uv-comment.yml",
             "call-release.yml": "mlflow-uv-release.yml"}  # fmt: skip
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
    """What is written, how the project trains, and what the user should know."""

    files: tuple[PlannedFile, ...]
    train: str
    training: Training
    notes: tuple[str, ...]


def init_plan(root: Path, project: str, paths: tuple[str, ...], *, name: str, branch: str | None = None) -> InitPlan:
    """
    Plan the files of a project in a folder below the root of its repository, empty for the root itself.

    `paths` are the files of the repository, `name` that of the project, `branch` the one that is
    released; without it, `main`, and a note says so. Raises Unparsable for its manifest.
    """
    files = CheckedFolder(str(root))
    below = tuple(_below(path, project) for path in paths if _is_below(path, project))
    manifest_path = posixpath.join(project, "pyproject.toml")
    manifest = _whole(files, manifest_path)
    table = _parsed(manifest)
    workflows = [path for path in paths if path.startswith(f"{WORKFLOWS}/")]
    training = find_training(files, project, below, table, workflows)
    settings = table_of(table, "tool", "mlflow-uv")
    train = " ".join(value for value in training.settings.values() if isinstance(value, str))
    planned: list[PlannedFile] = []
    notes: list[str] = []
    if any(not isinstance(value, dict) for value in settings.values()):
        notes.append("pyproject.toml has [tool.mlflow-uv] already; it is not changed")
        train = " ".join(str(settings[key]) for key in ("train", "entry-point", "function", "model") if key in settings)
    else:
        script = training.script
        model = (script.registers if script else "") or name
        values = {**training.settings, "model-name": model, **_selection(files, project, name)}
        planned.append(PlannedFile(path=manifest_path, before=manifest, after=_with_settings(manifest, values)))
        if script and script.name_unclear:
            notes.append(
                f"{script.path} has no single name as its `registered_model_name`: see whether `model-name` in"
                f" [tool.mlflow-uv], which is `{model}`, is the right one"
            )
        notes += training.notes
    for file in _workflows(files, paths, project, notes):
        planned.append(replace(file, after=file.after.replace(_BRANCHES, f"branches: [{_pattern(branch)}]")))
        if branch is None and _BRANCHES in file.after:
            notes.append(
                f"git names no branch that is released: see whether `{_BRANCHES}` in {file.path} is the right one"
            )
    planned += _hooks(files, notes)
    notes += _about(files, below, project)
    return InitPlan(files=tuple(planned), train=train, training=training, notes=tuple(dict.fromkeys(notes)))


def template(name: str) -> str:
    """The text of a template, which is an example of the documentation too."""
    return Path(__file__).with_name("templates").joinpath(name).read_text(encoding="utf-8")


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
    while (lock := files.read(posixpath.join(folder, "uv.lock"), LOCK_LIMIT)) is None and folder:
        folder = folder.rpartition("/")[0]  # a member of a workspace has the lock of the workspace
    try:
        kind, holder = mlflow_holder(read_lockfile(lock), name) if lock else ("", "")
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
