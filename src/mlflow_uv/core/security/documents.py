"""Parses untrusted JSON; `toml_documents` parses TOML, and limits it."""

import json
from typing import Any

from .toml_documents import Unbounded, Unparsable


def parse_json(text: str | bytes) -> Any:
    """Parse a JSON text. Raises Unparsable, and Unbounded for more levels or digits than Python's parser reads."""
    try:
        return json.loads(text)
    except RecursionError as error:
        raise Unbounded("it is nested too deeply") from error
    except json.JSONDecodeError as error:
        raise Unparsable(str(error), line=error.lineno) from error
    except UnicodeDecodeError as error:
        raise Unparsable("it is not UTF-8") from error
    except ValueError as error:
        raise Unbounded("it has a number with too many digits") from error


def whole_number(value: object) -> int:
    """A value of a document that must be a whole number. Raises TypeError, also for 1e999, which is read as inf."""
    if type(value) is not int:
        raise TypeError(f"{value!r:.50} is not a whole number")
    return value
