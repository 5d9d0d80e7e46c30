"""Finds the script of a project that trains a model, from the texts of its files."""

import posixpath
import re
import shlex
from collections.abc import Iterable, Mapping, Sequence

from ...command.inputs import NAME
from ...command.lazy_pattern import lazy_pattern
from ...payloads.messages.lazy_dataclass import lazy_dataclass
from ..lint.rule import is_test
from .project_imports import SOURCE, ProjectImports
from .run_commands import CommandDocument, RunCommand, is_named_after_other_work, is_named_after_training, run_commands
from .script_syntax import (
    command_names,
    imports_mlflow,
    is_flow,
    logging_calls,
    mlflow_switch,
    records_runs,
    registered_names,
    required_arguments,
)

_MAIN = lazy_pattern(r"^if\s+__name__\s*==\s*['\"]__main__['\"]", re.MULTILINE)
_AT_TOP = lazy_pattern(r"^(?:with\s+)?mlflow\.", re.MULTILINE)  # a script without a `__main__` block
# A statement of a script without functions; settings of libraries are in modules, too.
_STATEMENT = lazy_pattern(
    r"^(?!(?:load_dotenv|logging|warnings|sys|os|matplotlib|plt|random|np|torch|print)\b)[A-Za-z_][\w.]*\(",
    re.MULTILINE,
)
_RELATIVE = lazy_pattern(r"^[ \t]*from[ \t]+\.", re.MULTILINE)
# Work around training that may log models, too.
_ASIDE = lazy_pattern(
    r"(?:^|_)(?:sweep|ablate|ablation|bench|benchmark|plot|compare|backtest|smoke|setup|download|preprocess|prepare|ingest"
    r"|tune|tuning|hpo|monitor|drift|check|validate|verify|analyze|analyse|visualize|explore|eda|inspect|simulate|replay"
    r"|export|convert|build|golden|debug|agent)(?:_|$)"
)
_MODEL_NAME = lazy_pattern(NAME)
_ENTRY = lazy_pattern(r"[A-Za-z0-9_][A-Za-z0-9_.-]*")  # a name that is one word of a command, and no option
_DOCUMENTED = 2  # for a script that a command of the project's documents runs
_OFTEN = 1  # for one that several documents run
_TARGET = 2  # for one that a target, stage or heading runs which is named after training
_NO_ENTRIES: Mapping[str, object] = {}
_APART = frozenset({"docs", "doc", "examples", "example", "notebooks", "scratch", "archive", "old", "benchmarks",
                    "smoke", "templates", "_debug"})  # fmt: skip
_LOGS_ITSELF, _TRACKS_ITSELF, _LOGS_ELSEWHERE, _LOGS_NOWHERE, _BESIDE_ONE_THAT_LOGS = 4, 3, 2, 1, -2


@lazy_dataclass
class TrainingScript:
    """
    A script that may train, and how much speaks for it; `flavor` is empty if neither it nor what it imports names one.

    `logs` says that it or a file that it imports logs a model. `module` is its name if it has to be run as a module.
    `installed` says that uv installs the project, `beside_source` that the script imports packages of `src` by name.
    `entry` is the command of `[project.scripts]` that runs it, `required` what its command line must have, and
    `arguments` those with which it is run. `registers` is the name of a registered model that is written into the
    calls; empty if there is none, and `name_unclear` if there are several or a call computes it.
    """

    path: str
    score: int
    flavor: str
    logs: bool
    module: str
    installed: bool
    beside_source: bool
    entry: str
    required: tuple[str, ...]
    arguments: tuple[str, ...]
    registers: str
    name_unclear: bool

    @property
    def lacks(self) -> tuple[str, ...]:
        """The required arguments for which no document has a value."""
        return () if self.arguments else self.required


class _Project:
    """The files of a project, what logs models there, and what its documents run."""

    def __init__(
        self,
        texts: Mapping[str, str],
        documents: Iterable[CommandDocument],
        entries: Mapping[str, object],
        *,
        installed: bool,
    ) -> None:
        self.texts = texts
        self.installed = installed
        self.imports = ProjectImports(texts)
        self.importing = frozenset(path for path, text in texts.items() if imports_mlflow(text))
        self.calls = {path: calls for path in self.importing if (calls := logging_calls(texts[path]))}
        self.reaching = self.imports.reaching(self.calls)
        recording = frozenset(path for path in self.importing if path in self.calls or records_runs(texts[path]))
        self.using = self.imports.reaching(recording) | recording
        self.entries = _modules_of(entries)
        self.runs: dict[str, list[RunCommand]] = {}
        places = {name: path for path in sorted(texts, reverse=True) for name in names_of(path)}
        for run in run_commands(documents, [name for name in entries if isinstance(entries[name], str)]):
            path = self._run_by(run, places)
            if path is not None:
                self.runs.setdefault(path, []).append(run)

    def _run_by(self, run: RunCommand, places: Mapping[str, str]) -> str | None:
        """The file that a command runs: below the folder of its document, or of the project."""
        target = next((module for module, names in self.entries.items() if run.program in names), run.program)
        beside = posixpath.normpath(posixpath.join(posixpath.dirname(run.document.path), target))
        if beside in self.texts:
            return beside
        return places.get(target.lstrip("./") if target.startswith(("./", "../")) else target)


def training_scripts(  # noqa: PLR0913  # what a project has
    files: Iterable[tuple[str, str]],
    documents: Iterable[CommandDocument] = (),
    entries: Mapping[str, object] = _NO_ENTRIES,
    *,
    installed: bool = True,
    apart: Sequence[str] = (),
    configured: bool = False,
) -> tuple[TrainingScript, ...]:
    """
    Return the scripts of a project that can be run and train, by their paths and texts, the most likely first.

    A script logs a model itself, or imports, also through others, a file that does, or is named after training and
    records runs; with `configured`, a script of Hydra does, too. `entries` are those of `[project.scripts]`. If uv does
    not install the project itself (`installed`), there are no such commands, and its packages are not found by name.
    Scripts in the folders `apart`, which are projects of their own, are none, but may be imported. A call of
    `log_model` says more than `autolog`, and that more than one in an imported file; then the name, a command in the
    documents such as a Makefile, the name of its target, a `__main__` block and a short path count.
    """
    project = _Project(dict(files), documents, entries if installed else _NO_ENTRIES, installed=installed)
    if configured:
        project.using |= {path for path, text in project.texts.items() if "hydra.main" in text}
    candidates = [path for path in project.texts if not is_test(path) and not path.startswith(tuple(apart))]
    scripts = [script for path in candidates if (script := _script(path, project)) is not None]
    if any(script.logs for script in scripts):
        scripts = [script for script in scripts if script.logs]
    return tuple(sorted(scripts, key=lambda script: (-script.score, script.path)))


def run_recorders(files: Iterable[tuple[str, str]], *, apart: Sequence[str] = ()) -> tuple[str, ...]:
    """The scripts that record runs with MLflow, themselves or through what they import, and log no model."""
    texts = dict(files)
    recording = [path for path, text in texts.items() if imports_mlflow(text) and records_runs(text)]
    every = sorted({*recording, *ProjectImports(texts).reaching(recording)}, key=lambda path: (path.count("/"), path))
    return tuple(
        path
        for path in every
        if _MAIN.search(texts[path]) and not is_test(path) and not _is_apart(path) and not path.startswith(tuple(apart))
    )


def _modules_of(entries: Mapping[str, object]) -> dict[str, tuple[str, ...]]:
    """
    The modules that entries run, each with its commands, those that are named after training first.

    A name that a command line would have to quote is left out: TOML allows any text as one.
    """
    modules: dict[str, list[str]] = {}
    for command, target in entries.items():
        if isinstance(target, str) and _ENTRY.fullmatch(command):
            module, _, function = target.partition(":")
            trains = any(map(is_named_after_training, (command, function)))
            modules.setdefault(module.strip(), []).insert(0 if trains else len(entries), command)
    return {module: tuple(commands) for module, commands in modules.items()}


def names_of(path: str) -> frozenset[str]:
    """A script's path, and the names that its module may have."""
    module = path.removesuffix(".py").replace("/", ".").removesuffix(".__main__").removesuffix(".__init__")
    return frozenset((path, module, module.removeprefix(f"{SOURCE}.")))


def _is_apart(path: str) -> bool:
    *folders, name = path.lower().split("/")
    return bool(_APART & set(folders)) or is_named_after_other_work(name.removesuffix(".py"))


def _script(path: str, project: _Project) -> TrainingScript | None:
    """A script that may train; None for a module that is only imported, and for one without MLflow."""
    text = project.texts[path]
    calls = project.calls.get(path, ())
    stem = posixpath.basename(path).removesuffix(".py")
    named = is_named_after_training(stem)
    runs = project.runs.get(path, [])
    logs = bool(calls) or path in project.reaching
    entry = _entry(path, project, runs, trains=named)
    commands = command_names(text)
    command = next((name for name in commands if is_named_after_training(name)), "")
    can_run = bool(_MAIN.search(text) or stem == "__main__" or (calls and _AT_TOP.search(text)) or (entry and logs))
    can_run |= bool((named or runs) and _STATEMENT.search(text))
    if not can_run or not (logs or (named and path in project.using)):
        return None
    reached = () if calls or not logs else sorted(project.imports.reached(path) & project.calls.keys())
    every = [call for place in ([path] if calls else reached) for call in project.calls[place]]
    flavors = list(dict.fromkeys(flavor for _, flavor in sorted(every, reverse=True) if flavor))
    registered = frozenset(
        name for place in ([path] if calls else reached) for name in _registered(project.texts[place])
    )
    required = required_arguments(text)
    arguments = _arguments(text, runs, required, command, flow=is_flow(text))
    return TrainingScript(
        path=path,
        score=_score(path, project, runs, trains=bool(command) or (bool(entry) and is_named_after_training(entry))),
        flavor=flavors[0] if calls and flavors else flavors[0] if len(flavors) == 1 else "",
        logs=logs,
        module=_module_to_run(path, project, runs),
        installed=project.installed,
        beside_source=project.imports.needs_source(path) and "sys.path" not in text,
        entry=entry,
        required=required,
        arguments=arguments,
        registers=next(iter(registered)) if len(registered) == 1 else "",
        name_unclear="" in registered or len(registered) > 1,
    )


def _entry(path: str, project: _Project, runs: Sequence[RunCommand], *, trains: bool) -> str:
    """The command of `[project.scripts]` that runs a file: one that is documented or named after training."""
    commands = [name for module in sorted(names_of(path)) for name in project.entries.get(module, ())]
    documented = [run.program for run in runs if run.program in commands]
    named = [name for name in commands if is_named_after_training(name)]
    return next(iter((*named, *documented, *(commands if trains or commands[:1] else ()))), "")


def _score(path: str, project: _Project, runs: Sequence[RunCommand], *, trains: bool) -> int:
    *folders, name = path.split("/")
    stem = name.removesuffix(".py").lower()
    calls = project.calls.get(path, ())
    if calls:
        score = _LOGS_ITSELF if any(call == "log_model" for call, _ in calls) else _TRACKS_ITSELF
    elif path in project.reaching:
        score = _LOGS_ELSEWHERE
    else:
        score = _BESIDE_ONE_THAT_LOGS if project.reaching or project.calls else _LOGS_NOWHERE
    score += (
        3 if is_named_after_training(stem) or trains else 1 if stem in ("main", "__main__", "run", "pipeline") else 0
    )
    score -= 4 if is_named_after_other_work(stem) else 2 if _ASIDE.search(stem) else 0
    score += 2 if _MAIN.search(project.texts[path]) else 0
    score += _DOCUMENTED * bool(runs) + _OFTEN * (len({run.document.path for run in runs}) > 1)
    score += _TARGET * any(run.trains for run in runs)
    score -= sum(folder not in (SOURCE, "scripts") for folder in folders)
    return score - (4 if _APART & {folder.lower() for folder in folders} else 0)


def _arguments(
    text: str, runs: Sequence[RunCommand], required: Sequence[str], command: str, *, flow: bool
) -> tuple[str, ...]:
    """
    The arguments with which documents run a script, those of a target that is named after training first.

    None if one runs it without any and it requires none. The command that trains, or that runs a flow, and the flag
    that turns MLflow on are added if no document has them.
    """
    known = [run for run in runs if run.arguments is not None and (run.document.decides or required)]
    known.sort(key=lambda run: not run.trains)
    given = [run.arguments or () for run in known]
    arguments = next((words for words in given if words), ()) if required or () not in given else ()
    if known and known[0].trains and not required:
        arguments = known[0].arguments or ()
    if command and not any(map(is_named_after_training, arguments)):
        arguments = (command,)
    if flow and "run" not in arguments:
        arguments = ("run",)
    switch = mlflow_switch(text)
    return (*arguments, switch) if switch and switch not in arguments else arguments


def _module_to_run(path: str, project: _Project, runs: Sequence[RunCommand]) -> str:
    """
    The name of a script that has to be run as a module of the project's folder; empty for any other.

    It imports by relative names, or modules that are found from there alone; or a document runs it like that.
    """
    if "/" not in path or not all(part.isidentifier() for part in path.removesuffix(".py").split("/")):
        return ""
    dotted = path.removesuffix(".py").replace("/", ".").removesuffix(".__main__")
    known = {dotted, dotted.removeprefix(f"{SOURCE}.")} if dotted.count(".") > 1 else {dotted}
    module = next((run.program for run in runs if run.module and run.program in known), "")
    if module:
        return module
    text = project.texts[path]
    if "sys.path" in text or "rootutils" in text or "pyrootutils" in text:
        return ""
    return dotted if project.imports.needs(path, "") else ""


def _registered(text: str) -> frozenset[str]:
    """The names of models in the calls; "" for what is not written as a name there, and is known while it runs."""
    return frozenset(
        value if isinstance(value, str) and _MODEL_NAME.fullmatch(value) else ""
        for value in registered_names(text)
        if value is not None
    )


def training_command(script: TrainingScript, paths: frozenset[str], text: str = "") -> str:
    """
    Return the command that runs a script: an entry of `[project.scripts]`, its module, or the file.

    `paths` are all files of the project. A module of a package is run by its name, so that its imports work. If uv does
    not install the project, `src` is in `PYTHONPATH` of a command that needs packages from there.
    """
    module = _module(script.path, paths)
    in_source = script.path.startswith(f"{SOURCE}/")
    by_name = _RELATIVE.search(text) or (in_source and (script.installed or script.beside_source))
    program = script.entry or (f"python -m {script.module}" if script.module else "")
    if not program and module and by_name:
        program = f"python -m {module.removesuffix('.__main__')}"
    named = in_source and program.startswith("python -m ") and not program.startswith(f"python -m {SOURCE}.")
    prefix = ("env", f"PYTHONPATH={SOURCE}") if not script.installed and (named or script.beside_source) else ()
    file = f"./{script.path}" if script.path.startswith("-") else script.path
    return shlex.join((*prefix, *(program.split() or ("python", file)), *script.arguments))


def _module(path: str, paths: frozenset[str]) -> str:
    """The name of a module in a package, empty if the file is in none; `src` is a folder of packages."""
    folder, name = posixpath.split(path)
    parts = [name.removesuffix(".py")]
    while folder and f"{folder}/__init__.py" in paths:
        folder, package = posixpath.split(folder)
        parts.insert(0, package)
    return ".".join(parts) if len(parts) > 1 and folder in ("", SOURCE) else ""
