"""Finds in uv's words the settings that it ignores: one wrong key or value, and uv goes on without the whole table."""

import re
from collections.abc import Iterator
from difflib import get_close_matches
from typing import NamedTuple

_IGNORED = re.compile(
    r"^warning: Failed to parse `([^`\n]+)` during settings discovery:\n((?:[ \t]+.*\n?)+)", re.MULTILINE
)
_LINE = re.compile(r"TOML parse error at line (\d+)")
_WRONG = re.compile(r"unknown (?:field|variant) `([^`]*)`, expected (?:one of )?(.+)")
_SHADOWED = re.compile(
    r"^warning: Found both a `uv\.toml` file and a `\[tool\.uv\]`[^\n]*\n((?:- .+\n?)+)", re.MULTILINE
)


class Ignored(NamedTuple):
    """A file whose settings uv ignores, as uv calls it, the 1-based line that is wrong, and why."""

    file: str
    line: int
    why: str


def ignored_in(words: str) -> Iterator[Ignored]:
    """Each file of which uv says that it goes on without its settings."""
    for file, text in dict.fromkeys(_IGNORED.findall(words)):
        line = _LINE.search(text)
        reason = next((row.strip() for row in reversed(text.splitlines()) if row.strip()), "")
        yield Ignored(file, int(line[1]) if line else 1, _short(reason))


def shadowed_in(words: str) -> tuple[str, ...]:
    """The keys of `[tool.uv]` that uv ignores because a uv.toml lies beside."""
    found = _SHADOWED.search(words)
    return tuple(row.removeprefix("- ").strip() for row in found[1].splitlines()) if found else ()


def _short(reason: str) -> str:
    """uv lists everything that could stand there; what is nearest is what was meant."""
    wrong = _WRONG.fullmatch(reason)
    if wrong is None:
        return reason
    known = re.findall(r"`([^`]+)`", wrong[2])
    near = get_close_matches(wrong[1], known, n=1)
    kind = reason.split("`", 1)[0].strip()
    return f"{kind} `{wrong[1]}`{f', perhaps `{near[0]}`' if near else ''}"
