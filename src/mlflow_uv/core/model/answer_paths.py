"""
Parses paths into JSON answers, such as `$.choices[*].id`, and removes the values at these paths.

A subset of JSONPath (RFC 9535): `$`, then members (`.name`, `['any name']`), items (`[0]`) and wildcards (`[*]`, `.*`).
"""

import re
from collections.abc import Iterable, Iterator
from typing import Any

from ...command.lazy_pattern import lazy_pattern
from ...payloads.messages.lazy_dataclass import lazy_dataclass

_ITEM = lazy_pattern(
    r"\.(?P<name>[^\W\d][\w-]*)|\[(?P<index>0|[1-9]\d{0,8})\]|(?P<all>\.\*|\[\*\])"
    r"|\['(?P<single>[^'\\]*)'\]|\[\"(?P<double>[^\"\\]*)\"\]"
)
_PLAIN = lazy_pattern(r"[^\W\d][\w-]*")
_FORMS = "supported are `$.name`, `$['any name']`, `$.list[0]` and `$.list[*].name`"


@lazy_dataclass(kw_only=False)
class AnswerPath:
    """A path; each of its `parts` is the name of a member, the position of an item (from 0), or None for a wildcard."""

    text: str
    parts: tuple[str | int | None, ...]


def parse_path(text: str) -> AnswerPath:
    """Parse a path. Raises ValueError with the text from where it is invalid."""
    if not text.startswith("$"):
        raise ValueError(f"`{text}` does not begin with `$`; {_FORMS}")
    parts: list[str | int | None] = []
    at = 1
    while at < len(text):
        match = _ITEM.match(text, at)
        if match is None:
            raise ValueError(f"`{text}` cannot be read from `{text[at:]}` on; {_FORMS}")
        parts.append(_part(match))
        at = match.end()
    if not parts:
        raise ValueError("`$` is the whole response, so that nothing would be compared")
    return AnswerPath(text, tuple(parts))


def member_path(path: str, name: str) -> str:
    """The path of the member `name` of the object at `path`."""
    if _PLAIN.fullmatch(name):
        return f"{path}.{name}"
    return f'{path}["{name}"]' if "'" in name else f"{path}['{name}']"


def without_paths(answer: Any, paths: Iterable[AnswerPath]) -> Any:
    """Remove the values at the paths: members are deleted, items become None, so that lists keep their lengths."""
    for path in paths:
        answer = _without(answer, path.parts)
    return answer


def names_something(answer: object, path: AnswerPath) -> bool:
    """Whether an answer has any value at a path."""
    values = [answer]
    for part in path.parts:
        values = [inner for value in values for _, inner in _below(value, part)]
    return bool(values)


def compares_something(answer: object, paths: Iterable[AnswerPath]) -> bool:
    """Whether removing the paths leaves any value of an answer other than empty objects and lists."""
    return _has_value(answer, [path.parts for path in paths])


def _has_value(value: object, left_out: list[tuple[str | int | None, ...]]) -> bool:
    if () in left_out:
        return False
    if not isinstance(value, dict | list):
        return True
    keys = dict(_below(value, None))
    return any(
        _has_value(inner, [parts[1:] for parts in left_out if key in dict(_below(value, parts[0]))])
        for key, inner in keys.items()
    )


def _part(match: "re.Match[str]") -> str | int | None:
    if match["all"]:
        return None
    if match["index"] is not None:
        return int(match["index"])
    return next(text for text in (match["name"], match["single"], match["double"]) if text is not None)


def _below(value: Any, part: str | int | None) -> Iterator[tuple[Any, Any]]:
    """The keys and values in a value that a part of a path matches."""
    if isinstance(value, dict) and not isinstance(part, int):
        yield from ((key, inner) for key, inner in value.items() if part in (None, key))
    elif isinstance(value, list) and not isinstance(part, str):
        yield from ((number, inner) for number, inner in enumerate(value) if part in (None, number))


def _without(value: Any, parts: tuple[str | int | None, ...]) -> Any:
    first, rest = parts[0], parts[1:]
    named = dict(_below(value, first))
    if isinstance(value, dict):
        if not rest:
            return {key: inner for key, inner in value.items() if key not in named}
        return {key: _without(inner, rest) if key in named else inner for key, inner in value.items()}
    if isinstance(value, list):
        left = {number: _without(inner, rest) if rest else None for number, inner in named.items()}
        return [left.get(number, inner) for number, inner in enumerate(value)]
    return value
