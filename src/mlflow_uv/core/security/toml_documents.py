"""Parses untrusted TOML within limits of size and depth. A hook imports it, so it imports no more than the parser."""

import re
from typing import Any

import tomli

from ...command.lazy_pattern import lazy_pattern

DEPTH = 100  # levels of tables and arrays; uv reads no more than 80

_TOKEN = lazy_pattern(
    r'"""(?>(?:[^"\\]++|\\.|"{1,2}(?!"))*)"{3,5}|\'\'\'(?>(?:[^\']++|\'{1,2}(?!\'))*)\'{3,5}'
    r'|"(?>(?:[^"\\\n]++|\\.)*)"|\'[^\'\n]*+\'|#[^\n]*+|[\[\]{}.\n]',
    re.DOTALL,
)


class Unparsable(ValueError):
    """The text cannot be parsed. `line` is the 1-based line of the error."""

    def __init__(self, why: str, *, line: int = 1) -> None:
        super().__init__(why)
        self.line = line


class Unbounded(Unparsable):
    """The text exceeds the limit on size or depth."""


def too_large(size: int, limit: int) -> Unbounded:
    """The error for a text of `size` bytes where `limit` bytes are allowed."""
    return Unbounded(f"it has {size / 1e6:.1f} MB, and no more than {limit / 1e6:.0f} MB are read")


def parse_toml(data: bytes, *, limit: int) -> dict[str, Any]:
    """Parse a TOML file. Raises Unparsable, and Unbounded for more than `limit` bytes or DEPTH levels."""
    if len(data) > limit:
        raise too_large(len(data), limit)
    try:
        text = data.decode("utf-8-sig")  # like uv, skip a byte-order mark
        table: dict[str, Any] = tomli.loads(text)
    except UnicodeDecodeError as error:
        raise Unparsable("it is not UTF-8", line=data.count(b"\n", 0, error.start) + 1) from error
    except tomli.TOMLDecodeError as error:
        raise Unparsable(str(error), line=error.lineno) from error
    except RecursionError as error:
        raise _too_deep(text) from error
    if _deeper_than(table, DEPTH):
        raise _too_deep(text)
    return table


def _too_deep(text: str) -> Unbounded:
    return Unbounded(f"it is nested in more than {DEPTH} levels", line=_deepest_line(text))


def _deeper_than(value: object, levels: int) -> bool:
    """Whether a value has more levels; breadth first, since recursion would fail on deep values."""
    level = [value]
    while level and levels >= 0:
        level = [inner for outer in level for inner in _inside(outer)]
        levels -= 1
    return bool(level)


def _inside(value: object) -> list[Any]:
    children = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return [child for child in children if isinstance(child, dict | list)]


def _deepest_line(text: str) -> int:
    """The 1-based first line with the deepest nesting, counted in open brackets and dots of keys."""
    line = deepest_line = deepest = opened = dots = 0
    for match in _TOKEN.finditer(text):
        sign = match[0]
        opened += (sign in ("[", "{")) - (sign in ("]", "}"))
        dots += sign == "."
        if opened + dots > deepest:
            deepest, deepest_line = opened + dots, line
        if "\n" in sign:
            line += sign.count("\n")
            dots = 0
    return deepest_line + 1
