"""On which line does a key of a TOML text stand?"""

import re
from bisect import bisect_left
from collections.abc import Mapping
from contextlib import suppress

Path = tuple[str | int, ...]

_BLANK = re.compile(r"(?:[ \t\r\n]+|#[^\n]*)*")
_BETWEEN = re.compile(r"(?:[ \t\r\n,]+|#[^\n]*)*")
_BARE = re.compile(r"[A-Za-z0-9_-]+")
_BASIC = re.compile(r'"((?:[^"\\]|\\.)*)"')
_LITERAL = re.compile(r"'([^']*)'")
_LONG = re.compile(r'"""(?:[^"\\]|\\.|"{1,2}(?!"))*"{3,5}|\'\'\'(?:[^\']|\'{1,2}(?!\'))*\'{3,5}', re.DOTALL)
_SCALAR = re.compile(r"[^,\]}#\n]+")
_ESCAPE = re.compile(r"\\(?:u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|x([0-9a-fA-F]{2})|(.))")
_SHORT = {"b": "\b", "t": "\t", "n": "\n", "f": "\f", "r": "\r", "e": "\x1b"}


def key_lines(text: str) -> Mapping[Path, int]:
    """
    Where each key, table and element of an array begins: its path (names, and numbers from 0) to a 1-based line.

    The text must be TOML; of any other it tells what it read before it lost its way.
    """
    scanner = _Scanner(text)
    with suppress(_Lost):
        scanner.document()
    return scanner.lines


def line_at(lines: Mapping[Path, int], path: Path) -> int:
    """The line of a path, or of the nearest thing around it that is there; 1 where nothing is."""
    while path and path not in lines:
        path = path[:-1]
    return lines.get(path, 1)


class _Lost(Exception):
    """The text is not TOML here."""


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
                at = self._value(self._after("=", at), path)
            at = self._skip(_BLANK, at)

    def _header(self, at: int) -> tuple[int, Path]:
        array = self._text.startswith("[[", at)
        start = at
        at, names = self._names(self._skip(_BLANK, at + 1 + array))
        path: Path = ()
        for name in names[:-1]:
            path = self._inside((*path, name))
            self._found(path, start)
        path = (*path, names[-1])
        if array:
            self._arrays[path] = self._arrays.get(path, 0) + 1
            self._found(path, start)
        path = self._inside(path)
        self._found(path, start)
        return self._after("]]" if array else "]", at), path

    def _inside(self, path: Path) -> Path:
        """Of an array of tables, a path goes on in the last one."""
        return (*path, self._arrays[path] - 1) if path in self._arrays else path

    def _key(self, at: int, table: Path) -> tuple[int, Path]:
        start = at
        at, names = self._names(at)
        for end in range(1, len(names) + 1):
            self._found((*table, *names[:end]), start)
        return at, (*table, *names)

    def _names(self, at: int) -> tuple[int, tuple[str, ...]]:
        names: list[str] = []
        while True:
            if match := _BARE.match(self._text, at):
                names.append(match[0])
            elif match := _BASIC.match(self._text, at):
                names.append(_ESCAPE.sub(_unescaped, match[1]))
            elif match := _LITERAL.match(self._text, at):
                names.append(match[1])
            else:
                raise _Lost
            at = self._skip(_BLANK, match.end())
            if not self._text.startswith(".", at):
                return at, tuple(names)
            at = self._skip(_BLANK, at + 1)

    def _value(self, at: int, path: Path) -> int:
        """Step over a value, whatever it holds; a stack instead of recursion, for depth is no reason to fail."""
        around: list[tuple[Path, int | None]] = []
        while True:
            if self._text.startswith("[", at):
                around.append((path, 0))
                at += 1
            elif self._text.startswith("{", at):
                around.append((path, None))
                at += 1
            else:
                at = self._scalar(at)
            at = self._skip(_BETWEEN, at) if around else at
            while around and self._text.startswith(("]", "}"), at):
                around.pop()
                at = self._skip(_BETWEEN, at + 1) if around else at + 1
            if not around:
                return at
            outer, position = around[-1]
            if position is None:
                at, path = self._key(at, outer)
                at = self._after("=", at)
            else:
                path = (*outer, position)
                around[-1] = (outer, position + 1)
                self._found(path, at)

    def _scalar(self, at: int) -> int:
        for pattern in (_LONG, _BASIC, _LITERAL, _SCALAR):
            if match := pattern.match(self._text, at):
                return match.end()
        raise _Lost

    def _after(self, sign: str, at: int) -> int:
        if not self._text.startswith(sign, at):
            raise _Lost
        return self._skip(_BLANK, at + len(sign))

    def _skip(self, pattern: re.Pattern[str], at: int) -> int:
        match = pattern.match(self._text, at)
        return match.end() if match else at

    def _found(self, path: Path, at: int) -> None:
        self.lines.setdefault(path, bisect_left(self._breaks, at) + 1)


def _unescaped(match: re.Match[str]) -> str:
    code = match[1] or match[2] or match[3]
    return chr(int(code, 16)) if code else _SHORT.get(match[4], match[4])
