"""Finds the script of a project that trains a model, from the texts of its files."""

import posixpath
import re
import shlex
from collections.abc import Iterable, Mapping
from dataclasses import replace

from ...command.inputs import NAME
from ...command.lazy_pattern import lazy_pattern
from ...payloads.messages.lazy_dataclass import lazy_dataclass
from ..lint.rule import is_test
from .script_syntax import imports_mlflow, logging_calls, registered_names, required_arguments

_MAIN = lazy_pattern(r"^if\s+__name__\s*==\s*['\"]__main__['\"]", re.MULTILINE)
_AT_TOP = lazy_pattern(r"^(?:with\s+)?mlflow\.", re.MULTILINE)  # a script without a `__main__` block
# A statement of a script without functions; settings of libraries are in modules, too.
_STATEMENT = lazy_pattern(
    r"^(?!(?:load_dotenv|logging|warnings|sys|os|matplotlib|plt|random|np|torch|print)\b)[A-Za-z_][\w.]*\(",
    re.MULTILINE,
)
_RELATIVE = lazy_pattern(r"^[ \t]*from[ \t]+\.", re.MULTILINE)
_TRAINS = lazy_pattern(r"(?:^|_)(?:train|training|fit)(?:_|$)")
_OTHER = lazy_pattern(
    r"(?:^|_)(?:predict|serve|serving|inference|infer|evaluate|eval|deploy|register|app|api|demo|utils?)(?:_|$)"
)
_RUN = lazy_pattern(
    r"\b(?:python3?(?:[ \t]+-u)?[ \t]+(?:-m[ \t]+)?|uv[ \t]+run[ \t]+(?:-m[ \t]+|(?=[\w./-]+\.py\b)))"
    r"([\w./-]+)([^\n;&|`#]*)"
)
_PLACEHOLDER = frozenset("${}<>[]*\\\"'")  # in a command that cannot be run as it is written
_IMPORTED = lazy_pattern(r"^[ \t]*(?:from[ \t]+([\w.]+)[ \t]+import|import[ \t]+([\w.]+))", re.MULTILINE)
_MODEL_NAME = lazy_pattern(NAME)
_DOCUMENTED = 2  # for a script that a command of the project's documents runs
_APART = frozenset({"docs", "doc", "examples", "example", "notebooks", "scratch", "archive", "old", "benchmarks"})


@lazy_dataclass
class TrainingScript:
    """
    A script that may train, and how much speaks for it; `flavor` is empty if it names none.

    `relative` says that it imports modules of its own package by relative names. `entry` is the command of
    `[project.scripts]` that runs it, `required` what its command line must have, and `arguments` those with which a
    document runs it, where some are required. `registers` is the name of a registered model that is written into its
    calls; empty if there is none, and `name_unclear` if there are several or a call computes it.
    """

    path: str
    score: int
    flavor: str
    relative: bool
    entry: str = ""
    required: tuple[str, ...] = ()
    arguments: tuple[str, ...] = ()
    registers: str = ""
    name_unclear: bool = False

    @property
    def lacks(self) -> tuple[str, ...]:
        """The required arguments for which no document has a value."""
        return () if self.arguments else self.required


def training_scripts(
    files: Iterable[tuple[str, str]], documents: Iterable[str] = (), entries: Mapping[str, object] | None = None
) -> tuple[TrainingScript, ...]:
    """
    Return the scripts of a project that can be run and train, by their paths and texts, the most likely first.

    A script logs a model itself, or is named after training in a project that uses MLflow elsewhere, or is run by a
    command of the `documents`, such as a Makefile, and imports a module that logs one. `entries` are those of
    `[project.scripts]`: one that is named after training runs its module. A call of `log_model` says more than
    `autolog`; then the name, such a command, a `__main__` block and a short path count. If there is none, all scripts
    that import a module that logs a model are equally likely.
    """
    texts = dict(files)
    importing = frozenset(path for path, text in texts.items() if imports_mlflow(text))
    if not importing:
        return ()
    commands = _run_by(documents)
    modules = _trained_by(entries or {})
    logging = frozenset(path for path in importing if logging_calls(texts[path]))
    scripts = []
    for path, text in texts.items():
        names = _names_of(path)
        run_with = [arguments for name in names for arguments in commands.get(name, ())]
        entry = next((modules[name] for name in sorted(names) if name in modules), "")
        known = bool(run_with or entry or _is_training_script(path, text)) and (
            path in logging or _reaches(path, texts, logging)
        )
        script = _script(path, text, logs=path in logging, documented=known, entry=entry)
        if script is not None:
            required = required_arguments(text)
            arguments = next((words for words in run_with if words), ()) if required else ()
            score = script.score + _DOCUMENTED * bool(run_with or entry)
            scripts.append(replace(script, score=score, required=required, arguments=arguments))
    if not scripts:
        scripts = [
            replace(script, score=0, required=required_arguments(texts[path]))
            for path in texts
            if not _is_apart(path)
            if (script := _script(path, texts[path], logs=path in logging, documented=True, entry="")) is not None
            if _reaches(path, texts, logging)
        ]
    return tuple(sorted(scripts, key=lambda script: (-script.score, script.path)))


def _is_training_script(path: str, text: str) -> bool:
    """Whether a script is named after training, and does its work outside of functions."""
    return bool(_TRAINS.search(posixpath.basename(path).removesuffix(".py").lower()) and _STATEMENT.search(text))


def _is_apart(path: str) -> bool:
    *folders, name = path.lower().split("/")
    return bool(_APART & set(folders)) or bool(_OTHER.search(name.removesuffix(".py")))


def _trained_by(entries: Mapping[str, object]) -> dict[str, str]:
    """The modules that entries run which are named after training, each with its command."""
    targets = ((command, *target.partition(":")[::2]) for command, target in entries.items() if isinstance(target, str))
    return {
        module: command
        for command, module, function in targets
        if any(map(is_named_after_training, (command, function)))
    }


def is_named_after_training(name: str) -> bool:
    """Whether a command, a function or an entry point is named after training."""
    return bool(_TRAINS.search(name.replace("-", "_").lower()))


def is_named_after_other_work(name: str) -> bool:
    """Whether it is named after what is done with a trained model."""
    return bool(_OTHER.search(name.replace("-", "_").lower()))


def _run_by(documents: Iterable[str]) -> dict[str, list[tuple[str, ...]]]:
    """The files and modules that commands of these texts run with Python, and the arguments of each command."""
    arguments_by_name: dict[str, list[tuple[str, ...]]] = {}
    for name, rest in (match for text in documents for match in _RUN.findall(text)):
        arguments = () if _PLACEHOLDER & set(rest) else tuple(rest.split())
        arguments_by_name.setdefault(name.removeprefix("./"), []).append(arguments)
    return arguments_by_name


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


def _script(path: str, text: str, *, logs: bool, documented: bool, entry: str) -> TrainingScript | None:
    *folders, name = path.split("/")
    stem = name.removesuffix(".py").lower()
    calls = logging_calls(text) if logs else ()
    runs = bool(_MAIN.search(text)) or stem == "__main__" or (bool(entry) and documented)
    runs |= documented and _is_training_script(path, text)
    trains = calls or _TRAINS.search(stem) or documented
    if is_test(path) or not (runs or (calls and _AT_TOP.search(text))) or not trains:
        return None
    score = (4 if any(call == "log_model" for call, _ in calls) else 3) if calls else 1
    score += 3 if _TRAINS.search(stem) else 1 if stem in ("main", "__main__", "run", "pipeline") else 0
    score -= 4 if _OTHER.search(stem) else 0
    score += 2 if runs else 0
    score -= sum(folder != "src" for folder in folders)
    score -= 4 if _APART & {folder.lower() for folder in folders} else 0
    names = _registered_names(text)
    flavors = [flavor for _, flavor in sorted(calls, reverse=True) if flavor]
    return TrainingScript(
        path=path,
        score=score,
        flavor=flavors[0] if flavors else "",
        relative=bool(_RELATIVE.search(text)),
        entry=entry if documented else "",
        registers=next(iter(names)) if len(names) == 1 else "",
        name_unclear="" in names or len(names) > 1,
    )


def _registered_names(text: str) -> frozenset[str]:
    """The names of models in the calls; "" for what is not written as a name there, and is known while it runs."""
    return frozenset(
        value if isinstance(value, str) and _MODEL_NAME.fullmatch(value) else ""
        for value in registered_names(text)
        if value is not None
    )


def training_command(script: TrainingScript, paths: frozenset[str], scripts: Mapping[str, object]) -> str:
    """
    Return the command that runs a script: an entry of `[project.scripts]`, its module, or the file.

    `paths` are all files of the project. A module of a package is run by its name, so that its imports work.
    """
    module = _module(script.path, paths)
    return shlex.join((*shlex.split(_program(script, module, scripts)), *script.arguments))


def _program(script: TrainingScript, module: str, scripts: Mapping[str, object]) -> str:
    if script.entry:
        return script.entry
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
