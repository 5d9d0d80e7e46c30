"""Reads the calls of a script that log a model or declare arguments, from its syntax tree."""

import ast
import re
import warnings
from collections.abc import Iterator

from ...command.lazy_pattern import lazy_pattern

_MLFLOW = "mlflow"
_LOGS = frozenset({"log_model", "autolog"})
# For a file that this Python cannot parse, such as one for a newer Python.
_LOGGING = lazy_pattern(r"\bmlflow(?:\.(?P<flavor>[a-z_]+))?\.(?P<call>log_model|autolog)\s*\(")
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

    By whatever name the module is imported; what comments and texts have is no call.
    """
    if not any(call in text for call in _LOGS):
        return ()
    tree = parsed(text)
    if tree is None:
        return tuple((match["call"], match["flavor"] or "") for match in _LOGGING.finditer(text))
    names = (name.split(".") for name, _ in _calls(tree))
    return tuple((parts[-1], ".".join(parts[1:-1])) for parts in names if parts[0] == _MLFLOW and parts[-1] in _LOGS)


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
