"""Writes texts as scalars of YAML, which every reader takes for that text."""

import json
from re import Match

from ...command.lazy_pattern import lazy_pattern

_PLAIN = lazy_pattern(r"[A-Za-z][A-Za-z0-9_./-]*")
# Words that YAML 1.1 or 1.2 takes for booleans or nothing, in any case.
_WORDS = frozenset({"y", "n", "yes", "no", "on", "off", "true", "false", "null"})
# JSON leaves these as they are, and YAML does not allow them, or ends a line at them.
_UNPRINTABLE = lazy_pattern("[\x7f-\x9f\u2028\u2029\ud800-\udfff\ufeff\ufffe\uffff]")


def yaml_scalar(text: str) -> str:
    """Return a text without quotes if it can be nothing else, else in double quotes."""
    return text if _PLAIN.fullmatch(text) and text.lower() not in _WORDS else quoted_yaml(text)


def quoted_yaml(text: str) -> str:
    """Return a text in double quotes, with the escapes of JSON, which are escapes of YAML too."""
    return _UNPRINTABLE.sub(_escaped, json.dumps(text, ensure_ascii=False))


def single_quoted_yaml(text: str) -> str:
    """Return a text in single quotes, in which nothing is escaped; for text that can be printed."""
    return "'" + text.replace("'", "''") + "'"


def _escaped(match: Match[str]) -> str:
    return f"\\u{ord(match[0]):04x}"
