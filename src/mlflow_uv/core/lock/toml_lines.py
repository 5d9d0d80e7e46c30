"""Finds the lines of keys, tables and array elements in a TOML text."""

import re
from bisect import bisect_left
from collections.abc import Mapping
from contextlib import suppress

from ...command.lazy_pattern import lazy_pattern

Path = tuple[str | int, ...]

_BLANK = lazy_pattern(r"(?:[ \t\r\n]+|#[^\n]*)*")
_BETWEEN = lazy_pattern(r"(?:[ \t\r\n,]+|#[^\n]*)*")
_BARE = lazy_pattern(r"[A-Za-z0-9_-]+")
_BASIC = lazy_pattern(r'"((?:[^"\\]|\\.)*)"')
_LITERAL = lazy_pattern(r"'([^']*)'")
_LONG = lazy_pattern(r'"""(?:[^"\\]|\\.|"{1,2}(?!"))*"{3,5}|\'\'\'(?:[^\']|\'{1,2}(?!\'))*\'{3,5}', re.DOTALL)
_SCALAR = lazy_pattern(r"[^,\]}#\n]+")
_ESCAPE = lazy_pattern(r"\\(?:u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|x([0-9a-fA-F]{2})|(.))")
_SHORT = {"b": "\b", "t": "\t", "n": "\n", "f": "\f", "r": "\r", "e": "\x1b"}


def key_lines(text: str) -> Mapping[Path, int]:
    """
    Map the path of each key, table and array element (names, and positions from 0) to its 1-based first line.

    The text must be valid TOML; of any other text, the part before the error is returned.
    """
    scanner = _Scanner(text)
    with suppress(_NotToml):
        scanner.document()
    return scanner.lines


def line_at(lines: Mapping[Path, int], path: Path) -> int:
    """The line of a path, or of its nearest parent that exists; 1 without one."""
    while path and path not in lines:
        path = path[:-1]
    return lines.get(path, 1)


class _NotToml(Exception):
    """The text is not valid TOML at the current position."""


class _Scanner:
    def __init__(self, text: str) -> None:
        self._text = text.removeprefix("\ufeff")
        self._breaks = [match.start() for match in re.finditer("\n", self._text)]
        self._arrays: dict[Path, int] = {}  # how many tables each array of tables has so far
        self.lines: dict[Path, int] = {}

    def document(self) -> None:
        table: Path = ()
        at = self._skip(_BLANK, 0)
        while at < len(self._text):
            if self._text[at] == "[":
                at, table = self._header(at)
            else:
                at, path = self._key(at, table)
                at = self._value(self._skip_past("=", at), path)
            at = self._skip(_BLANK, at)

    def _header(self, at: int) -> tuple[int, Path]:
        array = self._text.startswith("[[", at)
        start = at
        at, keys = self._dotted_keys(self._skip(_BLANK, at + 1 + array))
        path: Path = ()
        for name in keys[:-1]:
            path = self._in_last_element((*path, name))
            self._record(path, start)
        path = (*path, keys[-1])
        if array:
            self._arrays[path] = self._arrays.get(path, 0) + 1
            self._record(path, start)
        path = self._in_last_element(path)
        self._record(path, start)
        return self._skip_past("]]" if array else "]", at), path

    def _in_last_element(self, path: Path) -> Path:
        """The path of the last element where a path is an array of tables, else the path itself."""
        return (*path, self._arrays[path] - 1) if path in self._arrays else path

    def _key(self, at: int, table: Path) -> tuple[int, Path]:
        start = at
        at, keys = self._dotted_keys(at)
        for end in range(1, len(keys) + 1):
            self._record((*table, *keys[:end]), start)
        return at, (*table, *keys)

    def _dotted_keys(self, at: int) -> tuple[int, tuple[str, ...]]:
        keys: list[str] = []
        while True:
            if match := _BARE.match(self._text, at):
                keys.append(match[0])
            elif match := _BASIC.match(self._text, at):
                keys.append(_ESCAPE.sub(_unescaped, match[1]))
            elif match := _LITERAL.match(self._text, at):
                keys.append(match[1])
            else:
                raise _NotToml
            at = self._skip(_BLANK, match.end())
            if not self._text.startswith(".", at):
                return at, tuple(keys)
            at = self._skip(_BLANK, at + 1)

    def _value(self, at: int, path: Path) -> int:
        """Skip a value, and record what it contains. Uses a stack instead of recursion, as nesting is not limited."""
        open_containers: list[tuple[Path, int | None]] = []
        while True:
            if self._text.startswith("[", at):
                open_containers.append((path, 0))
                at += 1
            elif self._text.startswith("{", at):
                open_containers.append((path, None))
                at += 1
            else:
                at = self._scalar(at)
            at = self._skip(_BETWEEN, at) if open_containers else at
            while open_containers and self._text.startswith(("]", "}"), at):
                open_containers.pop()
                at = self._skip(_BETWEEN, at + 1) if open_containers else at + 1
            if not open_containers:
                return at
            outer, position = open_containers[-1]
            if position is None:
                at, path = self._key(at, outer)
                at = self._skip_past("=", at)
            else:
                path = (*outer, position)
                open_containers[-1] = (outer, position + 1)
                self._record(path, at)

    def _scalar(self, at: int) -> int:
        for pattern in (_LONG, _BASIC, _LITERAL, _SCALAR):
            if match := pattern.match(self._text, at):
                return match.end()
        raise _NotToml

    def _skip_past(self, sign: str, at: int) -> int:
        if not self._text.startswith(sign, at):
            raise _NotToml
        return self._skip(_BLANK, at + len(sign))

    def _skip(self, pattern: re.Pattern[str], at: int) -> int:
        match = pattern.match(self._text, at)
        return match.end() if match else at

    def _record(self, path: Path, at: int) -> None:
        self.lines.setdefault(path, bisect_left(self._breaks, at) + 1)


def _unescaped(match: re.Match[str]) -> str:
    code = match[1] or match[2] or match[3]
    return chr(int(code, 16)) if code else _SHORT.get(match[4], match[4])
