"""The rule `environment-drift`: the environment files of an MLflow project agree with its lock."""

import re
from collections.abc import Iterator

from ....command.lazy_pattern import lazy_pattern
from ..environment_files import EnvironmentItem, environment_items
from ..rule import Edit, LintProblem, LintRule, LockedPackages, ProjectFiles, SourceFile, joined_path
from ..version_ranges import satisfies

_NAMED = lazy_pattern(r"(python_env|conda_env):\s*['\"]?([^'\"#\s]+)['\"]?\s*(?:#.*)?")


def _check(source: SourceFile, files: ProjectFiles) -> Iterator[LintProblem]:
    if files.exists(joined_path(source.folder, "MLmodel")):
        return  # the environment of a logged model, which is a copy of what was trained
    if source.name == "MLproject":
        yield from _named_files(source, files)
        return
    lock = files.lock_of(source.folder)
    if lock is None or lock.folder != source.folder:
        return
    for item in environment_items(source.text):
        if item.name == "python":
            agrees = _python_agrees(item, lock)
            why = f"`requires-python` of the lock is `{lock.requires_python}`"
        else:
            locked = lock.versions.get(item.name, ())
            agrees = not locked or any(satisfies(version, item.ranges) is not False for version in locked)
            why = f"{item.name} is {', '.join(locked)} in uv.lock, and `mlflow run` installs from this file"
        if not agrees:
            shown = source.text[item.start : item.end]
            yield LintProblem(
                line=item.line,
                what=f"{item.name} {shown.lstrip('= ')} is not what the lock has",
                why=why,
                fix=f"use the version of the lock, or remove {source.name} and run the project with uv",
                edits=_edits(item, source, lock),
            )


def _python_agrees(item: EnvironmentItem, lock: LockedPackages) -> bool:
    version = item.ranges.removeprefix("==").removesuffix(".*")
    if not re.fullmatch(r"\d+(\.\d+)*", version) or not lock.requires_python:
        return True
    # `3.11` stands for any 3.11: the newest is in the range if any is.
    candidates = (version,) if version.count(".") > 1 else (version, f"{version}.99")
    return any(satisfies(candidate, lock.requires_python) is not False for candidate in candidates)


def _edits(item: EnvironmentItem, source: SourceFile, lock: LockedPackages) -> tuple[Edit, ...]:
    locked = lock.versions.get(item.name, ())
    if len(locked) != 1 or not source.text[item.start : item.end].startswith("=="):
        return ()
    return (Edit(item.start, item.end, f"=={locked[0]}"),)


def _named_files(source: SourceFile, files: ProjectFiles) -> Iterator[LintProblem]:
    """The environment file that an MLproject names must exist; its own check compares it with the lock."""
    for number, line in enumerate(source.text.split("\n"), 1):
        match = _NAMED.fullmatch(line.rstrip("\r").strip())
        if match and not files.exists(joined_path(source.folder, match[2])):
            yield LintProblem(
                line=number,
                what=f"MLproject names `{match[2]}`, which does not exist",
                why=f"`mlflow run` fails on a missing `{match[1]}`",
                fix=f"correct the path, or remove `{match[1]}` and run the project with uv",
            )


RULE = LintRule(
    name="environment-drift",
    summary="An environment file of MLflow or conda disagrees with the lock beside it.",
    files=r"(^|/)(MLproject|(conda|conda_env|environment|python_env)\.ya?ml)$",
    check=_check,
)
