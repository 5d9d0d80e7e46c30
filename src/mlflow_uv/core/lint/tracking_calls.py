"""
Finds the tracking URIs that Python code sets to a literal, and the settings that it passes to MLflow as one.

A literal below an `if` about the environment or the configuration is a default, and left out.
"""

import ast
import re
from collections.abc import Iterator, Mapping

from ...command.lazy_pattern import lazy_pattern
from ..init.script_syntax import parsed

_VARIABLE = "MLFLOW_TRACKING_URI"
_SETTING = lazy_pattern(r"\w*tracking_uri")
_ENVIRONMENT = frozenset({"environ", "getenv"})
_PROFILES = lazy_pattern(r"(databricks(-uc)?|uc)(:.*)?|")  # names of a configuration, not addresses
_ADDRESS = lazy_pattern(r"([a-z][a-z0-9+]*:.+|\.{0,2}/.*|mlruns.*)", re.IGNORECASE)
_CONDITION = lazy_pattern(r"environ|getenv|tracking_uri|settings|config|args", re.IGNORECASE)


def literal_tracking_uris(text: str) -> Iterator[int]:
    """The 1-based lines of the calls and assignments; none in a text that this Python cannot parse."""
    module = parsed(text)
    if module is None:
        return  # of another Python, or a template
    constants = {
        target.id: value
        for node in module.body
        if isinstance(node, ast.Assign) and (value := _literal(node.value, {}))
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    for node in sorted(_unconditional(module), key=lambda node: node.lineno):
        uri = _value_of(node)
        address = _literal(uri, constants) if uri is not None else None
        if address and is_address(address):
            yield node.lineno


def passed_settings(text: str) -> Iterator[int]:
    """
    The 1-based lines of the calls of `set_tracking_uri` with a variable, attribute or key named `…tracking_uri`.

    None that reads the environment, and none in a text that this Python cannot parse.
    """
    module = parsed(text)
    calls = (node for node in ast.walk(module or ast.Module([], [])) if isinstance(node, ast.Call))
    for call in sorted(calls, key=lambda call: call.lineno):
        uri = _value_of(call) if _name_of(call) == "set_tracking_uri" else None
        if uri is None or isinstance(uri, ast.Constant):
            continue
        functions = {id(node.func) for node in ast.walk(uri) if isinstance(node, ast.Call)}
        words = {word for node in ast.walk(uri) if id(node) not in functions and (word := _word_of(node))}
        reads = {_name_of(node) for node in ast.walk(uri) if isinstance(node, ast.Call)}
        if any(map(_SETTING.fullmatch, words)) and _ENVIRONMENT.isdisjoint(words | reads):
            yield call.lineno


def is_address(text: str) -> bool:
    """Whether a text is the URI or path of a store, not the name of a configuration such as `databricks`."""
    return bool(_ADDRESS.fullmatch(text)) and not _PROFILES.fullmatch(text)


def _unconditional(module: ast.Module) -> Iterator[ast.Call | ast.Assign]:
    """The calls and assignments, without those below an `if` about the environment or the configuration."""
    pending: list[ast.AST] = [module]
    while pending:
        node = pending.pop()
        if isinstance(node, ast.Call | ast.Assign):
            yield node
        if isinstance(node, ast.If | ast.IfExp) and _CONDITION.search(_names_in(node.test)):
            continue
        pending.extend(ast.iter_child_nodes(node))


def _names_in(test: ast.expr) -> str:
    """The names and texts of a condition; `ast.unparse` fails on deep trees and on very large numbers."""
    return " ".join(word for node in ast.walk(test) if (word := _word_of(node)))


def _word_of(node: ast.AST) -> str | None:
    match node:
        case ast.Name(id=word) | ast.Attribute(attr=word) | ast.keyword(arg=str() as word):
            return word
        case ast.Constant(value=str() as word):
            return word
    return None


def _value_of(node: ast.Call | ast.Assign) -> ast.expr | None:
    """The value that a node makes the tracking URI; None for any other node."""
    if isinstance(node, ast.Assign):
        match node.targets[0]:
            case ast.Subscript(slice=ast.Constant(value=key)) if key == _VARIABLE:
                return node.value
        return None
    name = _name_of(node)
    if name == "set_tracking_uri":
        return node.args[0] if node.args else next((word.value for word in node.keywords if word.arg == "uri"), None)
    if name == "MlflowClient":
        named_value = next((word.value for word in node.keywords if word.arg == "tracking_uri"), None)
        return named_value if named_value is not None else (node.args[0] if node.args else None)
    return None


def _name_of(call: ast.Call) -> str:
    """The name of the function that is called, without its module; empty if it has none."""
    return call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")


def _literal(node: ast.expr, constants: Mapping[str, str]) -> str | None:
    """The text of a literal, or of a constant of the module; None for anything else, such as a variable."""
    match node:
        case ast.Constant(value=str() as text):
            return text
        case ast.Name(id=name):
            return constants.get(name)
    return None
