"""Generates instances of dataclasses from their type hints, and sends them through JSON."""

import json
from collections.abc import Mapping
from dataclasses import MISSING, asdict, fields, is_dataclass
from types import ModuleType, UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

from hypothesis import strategies as st

from mlflow_uv.payloads.messages.reader import read

WHOLE = st.integers(-(2**53), 2**53)
REAL = st.floats(allow_nan=False, allow_infinity=False)
JSON: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | WHOLE | REAL | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=4), inner, max_size=2),
    max_leaves=4,
)
SIMPLE: Mapping[Any, st.SearchStrategy[Any]] = {
    str: st.text(max_size=12),
    bool: st.booleans(),
    int: WHOLE,
    float: REAL,
    Any: JSON,
}


def messages_of(module: ModuleType) -> tuple[type, ...]:
    """The dataclasses that a module defines."""
    members = vars(module).values()
    return tuple(kind for kind in members if is_dataclass(kind) and isinstance(kind, type) and _is_of(kind, module))


def _is_of(kind: type, module: ModuleType) -> bool:
    return kind.__module__ == module.__name__


def instances(kind: Any) -> st.SearchStrategy[Any]:
    """Instances of a dataclass, with and without the parts that have a default."""
    hints = get_type_hints(kind)
    parts = {field.name: values(hints[field.name]) for field in fields(kind)}
    optional = {
        field.name for field in fields(kind) if field.default is not MISSING or field.default_factory is not MISSING
    }
    required = {name: strategy for name, strategy in parts.items() if name not in optional}
    return st.fixed_dictionaries(required, optional={name: parts[name] for name in optional}).map(
        lambda found: kind(**found)
    )


def values(hint: Any) -> st.SearchStrategy[Any]:
    """Values of a type hint of a message."""
    if hint in SIMPLE:
        return SIMPLE[hint]
    if is_dataclass(hint):
        return instances(hint)
    origin, arguments = get_origin(hint), get_args(hint)
    if origin in (UnionType, Union):
        return st.one_of([st.none() if part is type(None) else values(part) for part in arguments])
    if origin is Mapping:
        return st.dictionaries(st.text(max_size=6), values(arguments[1]), max_size=2)
    if origin is tuple and arguments[1:] == (Ellipsis,):
        return st.lists(values(arguments[0]), max_size=2).map(tuple)
    if origin is tuple:
        return st.tuples(*map(values, arguments))
    raise TypeError(f"no message has parts of {hint}")


def sent(message: Any) -> Any:
    """The message as the other side reads it."""
    return read(type(message), json.loads(json.dumps(asdict(message))), what="the message")
