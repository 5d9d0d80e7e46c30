"""Finds the script of a project that trains a model, from the texts of its files."""

import posixpath
import re
import shlex
from collections.abc import Iterable, Mapping

from ...command.lazy_pattern import lazy_pattern
from ...payloads.messages.lazy_dataclass import lazy_dataclass
from ..lint.rule import is_test

_IMPORT = lazy_pattern(r"^\s*(?:import|from)\s+mlflow\b", re.MULTILINE)
_LOGS = lazy_pattern(r"\bmlflow(?:\.(?P<flavor>[a-z_]+))?\.(?P<call>log_model|autolog)\s*\(")
_MAIN = lazy_pattern(r"^if\s+__name__\s*==\s*['\"]__main__['\"]", re.MULTILINE)
_AT_TOP = lazy_pattern(r"^(?:with\s+)?mlflow\.", re.MULTILINE)  # a script without a `__main__` block
_RELATIVE = lazy_pattern(r"^\s*from\s+\.", re.MULTILINE)
_TRAINS = lazy_pattern(r"(?:^|_)(?:train|training|fit)(?:_|$)")
_OTHER = lazy_pattern(
    r"(?:^|_)(?:predict|serve|serving|inference|infer|evaluate|eval|deploy|register|app|api|demo|utils?)(?:_|$)"
)
_APART = frozenset({"docs", "doc", "examples", "example", "notebooks", "scratch", "archive", "old", "benchmarks"})


@lazy_dataclass
class TrainingScript:
    """
    A script that may train, and how much speaks for it; `flavor` is empty if it names none.

    `relative` says that it imports modules of its own package by relative names.
    """

    path: str
    score: int
    flavor: str
    relative: bool


def training_scripts(files: Iterable[tuple[str, str]]) -> tuple[TrainingScript, ...]:
    """
    Return the scripts of a project that can be run and train, by their paths and texts, the most likely first.

    A script logs a model itself, or is named after training in a project that uses MLflow elsewhere. A call of
    `log_model` says more than `autolog`; then the name, a `__main__` block and a short path count.
    """
    texts = tuple(files)
    if not any(_IMPORT.search(text) for _, text in texts):
        return ()
    found = (script for path, text in texts if (script := _script(path, text)) is not None)
    return tuple(sorted(found, key=lambda script: (-script.score, script.path)))


def _script(path: str, text: str) -> TrainingScript | None:
    *folders, name = path.split("/")
    stem = name.removesuffix(".py").lower()
    calls = [(match["call"], match["flavor"] or "") for match in _LOGS.finditer(text)] if _IMPORT.search(text) else []
    runs = bool(_MAIN.search(text)) or stem == "__main__"
    if is_test(path) or not (runs or (calls and _AT_TOP.search(text))) or not (calls or _TRAINS.search(stem)):
        return None
    score = (4 if any(call == "log_model" for call, _ in calls) else 3) if calls else 1
    score += 3 if _TRAINS.search(stem) else 1 if stem in ("main", "__main__", "run", "pipeline") else 0
    score -= 4 if _OTHER.search(stem) else 0
    score += 2 if runs else 0
    score -= sum(folder != "src" for folder in folders)
    score -= 4 if _APART & {folder.lower() for folder in folders} else 0
    flavors = [flavor for _, flavor in sorted(calls, reverse=True) if flavor]
    return TrainingScript(
        path=path, score=score, flavor=flavors[0] if flavors else "", relative=bool(_RELATIVE.search(text))
    )


def training_command(script: TrainingScript, paths: frozenset[str], scripts: Mapping[str, object]) -> str:
    """
    Return the command that runs a script: an entry of `[project.scripts]`, its module, or the file.

    `paths` are all files of the project. A module of a package is run by its name, so that its imports work.
    """
    module = _module(script.path, paths)
    for command, target in scripts.items():
        if module and isinstance(target, str) and target.partition(":")[0] == module:
            return command
    if module and (script.relative or script.path.startswith("src/")):
        return f"python -m {module.removesuffix('.__main__')}"
    return shlex.join(("python", script.path))


def _module(path: str, paths: frozenset[str]) -> str:
    """The name of a module in a package, empty if the file is in none; `src` is a folder of packages."""
    folder, name = posixpath.split(path)
    parts = [name.removesuffix(".py")]
    while folder and f"{folder}/__init__.py" in paths:
        folder, package = posixpath.split(folder)
        parts.insert(0, package)
    return ".".join(parts) if len(parts) > 1 and folder in ("", "src") else ""
