"""Reads the files of a project that have its commands, such as a Makefile, a README and its workflows."""

import fnmatch
import posixpath
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from ...core.init.run_commands import CommandDocument
from ...tools.project.files import table_of
from ..lint.folder import CheckedFolder

# Patterns of names in lower case, those that people run first.
_NAMES = (
    "makefile", "gnumakefile", "*.mk", "justfile", ".justfile", "*.just", "taskfile.y*ml", "poe_tasks.*", "mise.toml",
    ".mise.toml", "pixi.toml", "dvc.yaml", "mlproject", "noxfile.py", "tasks.py", "procfile", "readme*", "*.sh",
    "*dockerfile*", "*compose*.y*ml", ".gitlab-ci.yml", "jenkinsfile", "agents.md", "claude.md", "*.md",
)  # fmt: skip
# Tables of a manifest with commands: those of poe, PDM, taskipy and hatch.
_TASKS = (("poe", "tasks"), ("pdm", "scripts"), ("taskipy", "tasks"), ("hatch", "envs"))
_DEEPEST = 2  # folders
_MOST = 60
_LONGEST = 200_000  # characters of each


def project_documents(
    files: CheckedFolder, project: str, below: Iterable[str], manifest: Mapping[str, Any], workflows: Iterable[str]
) -> Iterator[CommandDocument]:
    """
    Yield the documents of a project, those that people run first: tasks of its manifest, Makefiles, the README.

    `below` are the files of the project, by their paths in its folder, and `workflows` those of the repository, whose
    arguments are often those of a short check. Of each document the beginning is read.
    """
    for names in _TASKS:
        rows = "\n".join(_task_rows(table_of(manifest, "tool", *names)))
        if rows:
            yield CommandDocument(path="pyproject.toml", text=rows[:_LONGEST])
    ranked = [(rank, path.count("/"), path) for path in below if (rank := _rank(path)) is not None]
    for _, _, path in sorted(ranked)[:_MOST]:
        text = files.text(posixpath.join(project, path))
        if text is not None:
            yield CommandDocument(path=path, text=text[:_LONGEST])
    for path in workflows:
        text = files.text(path)
        if text is not None:
            yield CommandDocument(path=posixpath.basename(path), text=text[:_LONGEST], decides=False)


def _rank(path: str) -> int | None:
    """The place of a kind of document in the order; None for any other file."""
    if path.count("/") > _DEEPEST:
        return None
    name = posixpath.basename(path).lower()
    return next((rank for rank, pattern in enumerate(_NAMES) if fnmatch.fnmatchcase(name, pattern)), None)


def _task_rows(value: object, name: str = "task") -> Iterator[str]:
    """A line `NAME = COMMAND` for each text in tables and arrays of a manifest, in their order."""
    if isinstance(value, str):
        yield f"{name} = {value}"
    elif isinstance(value, dict):
        for key, part in value.items():
            yield from _task_rows(part, name if key in {"cmd", "shell", "sequence", "script"} else str(key))
    elif isinstance(value, list):
        for part in value:
            yield from _task_rows(part, name)
