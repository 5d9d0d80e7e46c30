"""Parses untrusted JSON; `toml_documents` parses TOML, and limits it."""

import json
from collections import Counter
from typing import Any

from .toml_documents import Unbounded, Unparsable


def parse_json(text: str | bytes) -> Any:
    """
    Parse a JSON text. Raises Unparsable, and Unbounded for more levels or digits than Python's parser reads.

    An object that has a name twice is unparsable: which of the values counts depends on the parser (RFC 8259, 4).
    """
    try:
        return json.loads(text, object_pairs_hook=_named_once)
    except Unparsable:
        raise
    except RecursionError as error:
        raise Unbounded("it is nested too deeply") from error
    except json.JSONDecodeError as error:
        raise Unparsable(str(error), line=error.lineno) from error
    except UnicodeDecodeError as error:
        raise Unparsable("it is not UTF-8") from error
    except ValueError as error:
        raise Unbounded("it has a number with too many digits") from error


def _named_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    content = dict(pairs)
    if len(content) != len(pairs):
        number = Counter(name for name, _ in pairs)
        name = next(name for name in number if number[name] > 1)
        raise Unparsable(f"an object has the name {name!r:.50} twice")
    return content


def whole_number(value: object) -> int:
    """A value of a document that must be a whole number. Raises TypeError, also for 1e999, which is read as inf."""
    if type(value) is not int:
        raise TypeError(f"{value!r:.50} is not a whole number")
    return value
