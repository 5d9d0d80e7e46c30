"""Matches paths against patterns in the syntax of `.gitignore`, read as one list."""

import re
from collections.abc import Iterable
from functools import cache

from ...payloads.messages.lazy_dataclass import lazy_dataclass


@lazy_dataclass
class PathPatterns:
    """
    Patterns in the syntax of `.gitignore`, relative to one folder; the last one that matches a path decides.

    A pattern with a slash before its end is anchored, others match at any depth, and `!` negates. A folder matches
    everything below it; unlike in git, a later `!` can exempt files below a matched folder.
    """

    lines: tuple[str, ...]

    def match(self, path: str) -> bool:
        """Whether they match a file, by its path with forward slashes."""
        parents = [path[: at.start()] for at in re.finditer("/", path)]
        matched = False
        for pattern in self.lines:
            negated = pattern.startswith("!")
            bare = pattern[1:] if negated else pattern
            for_folders = bare.endswith("/")
            names = parents if for_folders else (*parents, path)
            regex = _regex(bare.rstrip("/"))
            if regex is not None and any(map(regex.fullmatch, names)):
                matched = not negated
        return matched


def pattern_of(path: str) -> str:
    """
    A pattern that matches a path, for git too; of characters that a line cannot show, any others as well.

    `*` and not `?`, which in git stands for one byte.
    """
    shown = "".join(f"\\{each}" if each in "\\*?[" else each if each.isprintable() else "*" for each in path)
    return f"{shown[:-1]}\\ " if shown.endswith(" ") else shown


@cache
def _regex(pattern: str) -> "re.Pattern[str] | None":
    """Compile a pattern; None for an empty line or a comment."""
    if not pattern.strip() or pattern.startswith("#"):
        return None
    start = "" if "/" in pattern else "(?:.*/)?"
    return re.compile(start + "".join(_pieces(pattern.removeprefix("/"))), re.DOTALL)


def _pieces(pattern: str) -> Iterable[str]:
    position = 0
    while position < len(pattern):
        rest = pattern[position:]
        if rest.startswith("**/"):
            yield "(?:.*/)?"
            position += 3
        elif rest.startswith("**"):
            yield ".*"
            position += 2
        elif rest[0] == "[" and (closed := re.match(r"\[!?\]?[^\]/]*\]", rest)):
            inside = closed[0][1:-1].replace("\\", "\\\\")
            yield f"[^/{inside[1:]}]" if inside.startswith("!") else f"[{inside}]"
            position += closed.end()
        elif rest[0] == "\\" and len(rest) > 1:
            yield re.escape(rest[1])
            position += 2
        else:
            yield {"*": "[^/]*", "?": "[^/]"}.get(rest[0]) or re.escape(rest[0])
            position += 1
