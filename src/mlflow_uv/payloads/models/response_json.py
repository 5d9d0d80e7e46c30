"""Reads a response as JSON of which every reader gets the same values."""

import json
from typing import Any


class NameTwice(ValueError):
    """An object of a response has a name twice: which of the values counts depends on who reads it."""


def response_json(text: str) -> Any:
    """The document in a text. Raises NameTwice: MLflow writes columns such as 1 and "1" under one name."""
    return json.loads(text, object_pairs_hook=_named_once)


def _named_once(pairs: "list[tuple[str, Any]]") -> "dict[str, Any]":
    content = dict(pairs)
    if len(content) != len(pairs):
        names = [name for name, _ in pairs]
        name = next(name for name in names if names.count(name) > 1)
        raise NameTwice(f"its response has the name {name!r:.50} twice; give the columns of predictions other names")
    return content
