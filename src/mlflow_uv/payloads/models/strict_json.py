"""Parses JSON in which no object has a name twice."""

import json
from collections.abc import Callable
from typing import Any


class RepeatedName(ValueError):
    """An object has a name twice: which of the values counts depends on the parser (RFC 8259, 4)."""


def strict_json(text: "str | bytes", *, parse_constant: "Callable[[str], Any] | None" = None) -> Any:
    """The document in a text. Raises RepeatedName, or ValueError for a text that is not JSON."""
    return json.loads(text, object_pairs_hook=_named_once, parse_constant=parse_constant)


def _named_once(pairs: "list[tuple[str, Any]]") -> "dict[str, Any]":
    content = dict(pairs)
    if len(content) != len(pairs):
        names = [name for name, _ in pairs]
        name = next(name for name in names if names.count(name) > 1)
        raise RepeatedName(f"an object has the name {name!r:.50} twice")
    return content
