"""Finds the script of a project that trains a model, from the texts of its files."""

import posixpath
import re
import shlex
from collections.abc import Iterable, Mapping
from dataclasses import replace

from ...command.lazy_pattern import lazy_pattern
from ...payloads.messages.lazy_dataclass import lazy_dataclass
from ..lint.rule import is_test

_IMPORT = lazy_pattern(r"^[ \t]*(?:import|from)[ \t]+mlflow\b", re.MULTILINE)
_LOGS = lazy_pattern(r"\bmlflow(?:\.(?P<flavor>[a-z_]+))?\.(?P<call>log_model|autolog)\s*\(")
_MAIN = lazy_pattern(r"^if\s+__name__\s*==\s*['\"]__main__['\"]", re.MULTILINE)
_AT_TOP = lazy_pattern(r"^(?:with\s+)?mlflow\.", re.MULTILINE)  # a script without a `__main__` block
_RELATIVE = lazy_pattern(r"^[ \t]*from[ \t]+\.", re.MULTILINE)
_TRAINS = lazy_pattern(r"(?:^|_)(?:train|training|fit)(?:_|$)")
_OTHER = lazy_pattern(
    r"(?:^|_)(?:predict|serve|serving|inference|infer|evaluate|eval|deploy|register|app|api|demo|utils?)(?:_|$)"
)
_RUN = lazy_pattern(r"\bpython3?[ \t]+(?:-m[ \t]+)?([\w./-]+)")
_IMPORTED = lazy_pattern(r"^[ \t]*(?:from[ \t]+([\w.]+)[ \t]+import|import[ \t]+([\w.]+))", re.MULTILINE)
_DOCUMENTED = 2  # for a script that a command of the project's documents runs
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


def training_scripts(files: Iterable[tuple[str, str]], documents: Iterable[str] = ()) -> tuple[TrainingScript, ...]:
    """
    Return the scripts of a project that can be run and train, by their paths and texts, the most likely first.

    A script logs a model itself, or is named after training in a project that uses MLflow elsewhere, or is run by a
    command of the `documents`, such as a Makefile, and imports a module that logs one. A call of `log_model` says more
    than `autolog`; then the name, such a command, a `__main__` block and a short path count.
    """
    texts = dict(files)
    if not any(_IMPORT.search(text) for text in texts.values()):
        return ()
    commands = _run_by(documents)
    logging = frozenset(path for path, text in texts.items() if _IMPORT.search(text) and _LOGS.search(text))
    found = []
    for path, text in texts.items():
        documented = not commands.isdisjoint(_names_of(path))
        script = _script(path, text, documented=documented and _reaches(path, texts, logging))
        if script is not None:
            found.append(replace(script, score=script.score + _DOCUMENTED * documented))
    return tuple(sorted(found, key=lambda script: (-script.score, script.path)))


def _run_by(documents: Iterable[str]) -> frozenset[str]:
    """The files and modules that commands of these texts run with Python."""
    return frozenset(name.removeprefix("./") for text in documents for name in _RUN.findall(text))


def _names_of(path: str) -> frozenset[str]:
    """A script's path, and the names that its module may have."""
    module = path.removesuffix(".py").replace("/", ".").removesuffix(".__main__")
    return frozenset((path, module, module.removeprefix("src.")))


def _reaches(path: str, texts: Mapping[str, str], logging: frozenset[str]) -> bool:
    """Whether a script imports, also through other modules of the project, one that logs a model."""
    places = {name: place for place in texts for name in _names_of(place)}
    seen, pending = {path}, [path]
    while pending:
        text = texts[pending.pop()]
        names = (first or second for first, second in _IMPORTED.findall(text))
        for name in names:
            place = places.get(name)
            if place in logging:
                return True
            if place is not None and place not in seen:
                seen.add(place)
                pending.append(place)
    return False


def _script(path: str, text: str, *, documented: bool) -> TrainingScript | None:
    *folders, name = path.split("/")
    stem = name.removesuffix(".py").lower()
    calls = [(match["call"], match["flavor"] or "") for match in _LOGS.finditer(text)] if _IMPORT.search(text) else []
    runs = bool(_MAIN.search(text)) or stem == "__main__"
    trains = calls or _TRAINS.search(stem) or documented
    if is_test(path) or not (runs or (calls and _AT_TOP.search(text))) or not trains:
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
