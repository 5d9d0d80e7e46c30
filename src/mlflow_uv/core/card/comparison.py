"""Compares an ML-BOM or a model card with the one that a version has."""

from collections.abc import Iterator
from itertools import zip_longest
from typing import Any

from ..security.documents import parse_json

_ABSENT = object()


def differences(given: str, expected: str) -> Iterator[tuple[str, str, str, int]]:
    """
    Yield the place, the given and the expected value of each difference, and the line of a card, 0 for an ML-BOM.

    A JSON document is compared by its values, and a card line by line. Raises ValueError for text that is not JSON
    although the expected one is.
    """
    if expected.startswith("{"):
        yield from _in_values(parse_json(given), parse_json(expected), "")
        return
    pairs = zip_longest(given.splitlines(), expected.splitlines(), fillvalue="nothing")
    for number, (line, wanted) in enumerate(pairs, start=1):
        if line != wanted:
            yield f"line {number}", line, wanted, number


def _in_values(given: Any, expected: Any, path: str) -> Iterator[tuple[str, str, str, int]]:
    if isinstance(given, dict) and isinstance(expected, dict):
        for key in sorted({*given, *expected}):
            place = f"{path}.{key}" if path else key
            yield from _in_values(given.get(key, _ABSENT), expected.get(key, _ABSENT), place)
    elif isinstance(given, list) and isinstance(expected, list):
        for position, (item, wanted) in enumerate(zip_longest(given, expected, fillvalue=_ABSENT)):
            yield from _in_values(item, wanted, f"{path}[{position}]")
    elif type(given) is not type(expected) or given != expected:
        yield path or "the document", _shown(given), _shown(expected), 0


def _shown(value: Any) -> str:
    return "nothing" if value is _ABSENT else repr(value)
