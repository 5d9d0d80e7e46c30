"""Reads the calls of a script that log a model or declare arguments, from its syntax tree."""

import ast
import re
import warnings
from collections.abc import Iterator

from ...command.lazy_pattern import lazy_pattern

_MLFLOW = "mlflow"
_LOGS = frozenset({"log_model", "autolog"})
_RUNS = ("mlflow.start_run", "mlflow.set_experiment", "MLFlowLogger", "MLflowCallback", "MLFlowCallback")
# Flavors whose `autolog` records traces of calls, and no model.
_TRACING = frozenset({
    "ag2", "agno", "anthropic", "autogen", "bedrock", "claude_agent_sdk", "crewai", "deepseek", "dspy", "gemini",
    "genai", "groq", "haystack", "langchain", "litellm", "llama_index", "mistral", "openai", "pydantic_ai",
    "semantic_kernel", "smolagents", "strands",
})  # fmt: skip
# For a file that this Python cannot parse, such as one for a newer Python.
_LOGGING = lazy_pattern(r"\bmlflow(?:\.(?P<flavor>[a-z_]+))?\.(?P<call>log_model|autolog)\s*\(")
_ENABLES = lazy_pattern(r"--(?:enable-|use-|log-|with-|log-to-|track-)?mlflow(?:-logging|-tracking)?")
_IMPORT = lazy_pattern(r"^[ \t]*(?:import|from)[ \t]+mlflow\b", re.MULTILINE)
_CLICK = frozenset({"click.option", "click.argument", "rich_click.option", "rich_click.argument"})
_TYPER = frozenset({"typer.Option", "typer.Argument"})
_OPTIONAL_NUMBERS = frozenset({"?", "*"})


def parsed(text: str) -> ast.Module | None:
    """A file as Python reads it; None for one that it cannot read."""
    with warnings.catch_warnings():  # about the file of the user, such as an escape that Python does not know
        warnings.simplefilter("ignore")
        try:
            return ast.parse(text)
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            return None


def imports_mlflow(text: str) -> bool:
    """Whether a file imports MLflow anywhere; one that is not Python of here does so if a line begins like that."""
    if _MLFLOW not in text:
        return False
    tree = parsed(text)
    if tree is None:
        return bool(_IMPORT.search(text))
    return any(target.partition(".")[0] == _MLFLOW for target in _imports(tree).values())


def logging_calls(text: str) -> tuple[tuple[str, str], ...]:
    """
    The calls of MLflow that log a model, each with its flavor, empty without one: `("log_model", "sklearn")`.

    By whatever name the module is imported; what comments and texts have is no call. A function that is named without
    being called there, such as in a table of flavors, counts. `autolog` of a flavor that only traces does not.
    """
    if not any(call in text for call in _LOGS):
        return ()
    tree = parsed(text)
    if tree is None:
        found = tuple((match["call"], match["flavor"] or "") for match in _LOGGING.finditer(text))
    else:
        names = (name.split(".") for name in _named(tree))
        found = tuple((name[-1], ".".join(name[1:-1])) for name in names if name[0] == _MLFLOW and name[-1] in _LOGS)
    return tuple((call, flavor) for call, flavor in found if call == "log_model" or flavor not in _TRACING)


def records_runs(text: str) -> bool:
    """Whether a file seems to record runs, with a model or without one."""
    return any(name in text for name in _RUNS)


def mlflow_switch(text: str) -> str:
    """The flag that turns MLflow on, such as `--enable-mlflow`, of a script with argparse; empty if it has none."""
    tree = parsed(text) if "store_true" in text and "add_argument" in text else None
    for name, call in _calls(tree) if tree is not None else ():
        action = next((part.value for part in call.keywords if part.arg == "action"), None)
        if name.rpartition(".")[2] != "add_argument" or not _is_text(action, "store_true"):
            continue
        flags = [part.value for part in call.args if isinstance(part, ast.Constant) and isinstance(part.value, str)]
        flag = next((flag for flag in flags if _ENABLES.fullmatch(flag)), "")
        if flag:
            return flag
    return ""


def command_names(text: str) -> tuple[str, ...]:
    """The commands of a script with several of them, as click, typer or argparse declare them; empty if it has none."""
    tree = parsed(text) if ".command" in text or "add_parser" in text else None
    if tree is None:
        return ()
    names = [
        first.value
        for name, call in _calls(tree)
        if name.rpartition(".")[2] == "add_parser" and call.args
        if isinstance(first := call.args[0], ast.Constant) and isinstance(first.value, str)
    ]
    functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]
    for node in functions:
        for decorator in node.decorator_list:
            made = decorator if isinstance(decorator, ast.Call) else ast.Call(func=decorator, args=[], keywords=[])
            owner, _, last = _dotted(made.func).rpartition(".")
            if last == "command" and owner not in {"click", "rich_click"}:
                texts = (part.value for part in made.args if isinstance(part, ast.Constant))
                names.append(next((value for value in texts if isinstance(value, str)), node.name.replace("_", "-")))
    return tuple(names) if len(names) > 1 else ()


def is_flow(text: str) -> bool:
    """Whether a file has a flow of Metaflow, whose command is `run`."""
    tree = parsed(text) if "FlowSpec" in text else None
    classes = (node for node in ast.walk(tree) if isinstance(node, ast.ClassDef)) if tree is not None else ()
    return any(_dotted(base).rpartition(".")[2] == "FlowSpec" for node in classes for base in node.bases)


def _is_text(node: ast.expr | None, value: str) -> bool:
    return isinstance(node, ast.Constant) and node.value == value


def _named(tree: ast.Module) -> list[str]:
    """Every name with attributes, and every name that is called, in the order of the file."""
    imports = _imports(tree)
    called: list[ast.expr] = [node.func for node in ast.walk(tree) if isinstance(node, ast.Call)]
    attributes = [node for node in ast.walk(tree) if isinstance(node, ast.Attribute)]
    inner = {id(node.value) for node in attributes}
    every = [
        *(node for node in attributes if id(node) not in inner),
        *(node for node in called if isinstance(node, ast.Name)),
    ]
    every.sort(key=lambda node: (node.lineno, node.col_offset))
    return [_resolved(name, imports) for name in map(_dotted, every) if name]


def required_arguments(text: str) -> tuple[str, ...]:
    """The arguments that a script with argparse, click or typer cannot be run without, as it declares them."""
    tree = parsed(text) if "add_argument" in text or "click" in text or "typer" in text else None
    return tuple(_required(tree)) if tree is not None else ()


def _required(tree: ast.Module) -> Iterator[str]:
    for name, call in _calls(tree):
        first = call.args[0].value if call.args and isinstance(call.args[0], ast.Constant) else None
        texts = [part.value for part in call.args if isinstance(part, ast.Constant) and isinstance(part.value, str)]
        shown = next((text for text in texts if text.startswith("--")), next(iter(texts), "an argument"))
        if name in _TYPER:
            if first is ...:
                yield shown
        elif isinstance(first, str) and (name in _CLICK or name.rpartition(".")[2] == "add_argument"):
            option = first.startswith("-") or name.endswith(".option")
            if _is_required(call, positional=not option):
                yield shown


def _is_required(call: ast.Call, *, positional: bool) -> bool:
    given = {part.arg: part.value for part in call.keywords if part.arg}
    required = given.get("required")
    if isinstance(required, ast.Constant):
        return bool(required.value)
    number = given.get("nargs")
    optional = isinstance(number, ast.Constant) and number.value in _OPTIONAL_NUMBERS
    return positional and not optional and "default" not in given


def _calls(tree: ast.Module) -> list[tuple[str, ast.Call]]:
    """Every call of a name, in the order of the file: `sk.log_model` is what `sk` is imported as."""
    imports = _imports(tree)
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
    calls.sort(key=lambda call: (call.lineno, call.col_offset))
    named = ((_dotted(call.func), call) for call in calls)
    return [(_resolved(name, imports), call) for name, call in named if name]


def _dotted(node: ast.expr) -> str:
    """`a.b.c` of a name with attributes; of the attribute of anything else, such as `f().b`, `.b`."""
    parts: list[str] = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    if isinstance(node, ast.Name):
        parts.append(node.id)
    elif parts:
        parts.append("")
    return ".".join(reversed(parts))


def _resolved(name: str, imports: dict[str, str]) -> str:
    first, dot, rest = name.partition(".")
    return f"{imports.get(first, first)}{dot}{rest}"


def _imports(tree: ast.Module) -> dict[str, str]:
    """What each imported name stands for: `import mlflow.sklearn as sk` makes `sk` that module."""
    imports: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                top = alias.name.partition(".")[0]
                imports[alias.asname or top] = alias.name if alias.asname else top
        elif isinstance(node, ast.ImportFrom) and not node.level:
            for alias in node.names:
                imports[alias.asname or alias.name] = f"{node.module}.{alias.name}"
    return imports


def registered_names(text: str) -> Iterator[object]:
    """The values of `registered_model_name` in calls; an empty text for one that is known only while it runs."""
    tree = parsed(text) if "registered_model_name" in text else None
    for node in ast.walk(tree) if tree is not None else ():
        for part in node.keywords if isinstance(node, ast.Call) else ():
            if part.arg == "registered_model_name":
                yield part.value.value if isinstance(part.value, ast.Constant) else ""
