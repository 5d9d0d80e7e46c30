"""Parses uv's warnings about settings that it ignores; one wrong key or value makes uv ignore the whole table."""

import re
from collections.abc import Iterator
from difflib import get_close_matches
from typing import NamedTuple

from ...command.lazy_pattern import lazy_pattern

_IGNORED = lazy_pattern(
    r"^warning: Failed to parse `([^`\n]+)` during settings discovery:\n((?:[ \t]+.*\n?)+)", re.MULTILINE
)
_LINE = lazy_pattern(r"TOML parse error at line (\d+)")
_WRONG = lazy_pattern(r"unknown (?:field|variant) `([^`]*)`, expected (?:one of )?(.+)")
_SHADOWED = lazy_pattern(
    r"^warning: Found both a `uv\.toml` file and a `\[tool\.uv\]`[^\n]*\n((?:- .+\n?)+)", re.MULTILINE
)


class IgnoredSettings(NamedTuple):
    """A file whose settings uv ignores, named as in uv's warning, the 1-based line of the error, and its reason."""

    file: str
    line: int
    why: str


def parse_ignored_settings(words: str) -> Iterator[IgnoredSettings]:
    """Yield each file whose settings uv ignores, from uv's standard error."""
    for file, text in dict.fromkeys(_IGNORED.findall(words)):
        line = _LINE.search(text)
        reason = next((row.strip() for row in reversed(text.splitlines()) if row.strip()), "")
        yield IgnoredSettings(file, int(line[1]) if line else 1, _short(reason))


def parse_shadowed_keys(words: str) -> tuple[str, ...]:
    """The keys of `[tool.uv]` that uv ignores because of a uv.toml in the same folder, from uv's standard error."""
    match = _SHADOWED.search(words)
    return tuple(row.removeprefix("- ").strip() for row in match[1].splitlines()) if match else ()


def _short(reason: str) -> str:
    """Shorten uv's reason, which lists every valid key, to the wrong one and its closest match."""
    wrong = _WRONG.fullmatch(reason)
    if wrong is None:
        return reason
    known = re.findall(r"`([^`]+)`", wrong[2])
    near = get_close_matches(wrong[1], known, n=1)
    kind = reason.split("`", 1)[0].strip()
    return f"{kind} `{wrong[1]}`{f', perhaps `{near[0]}`' if near else ''}"
