"""Parses untrusted JSON; `toml_documents` parses TOML, and limits it."""

import json
from typing import Any

from .toml_documents import Unbounded, Unparsable


def parse_json(text: str | bytes) -> Any:
    """Parse a JSON text. Raises Unparsable, and Unbounded where it is nested too deeply for Python's parser."""
    try:
        return json.loads(text)
    except RecursionError as error:
        raise Unbounded("it is nested too deeply") from error
    except json.JSONDecodeError as error:
        raise Unparsable(str(error), line=error.lineno) from error
    except UnicodeDecodeError as error:
        raise Unparsable("it is not UTF-8") from error
