"""
Splits a Dockerfile into instructions, and the commands of `RUN` with their lines.

The syntax is that of BuildKit: continued lines, comments between them, the `escape` directive and here-documents.
"""

import re
import shlex
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from itertools import accumulate
from typing import NamedTuple

from ...command.lazy_pattern import lazy_pattern

# A template of one belongs to projects that are made of it.
FILES = (
    r"(^|/)((Docker|Container)file([.-][^/]*)?|[^/]*\.(docker|container)file)"
    r"(?<!\.template)(?<!\.tmpl)(?<!\.tpl)(?<!\.j2)(?<!\.jinja)(?<!\.jinja2)$"
)
_INSTRUCTION = lazy_pattern(r"\s*([A-Za-z]+)(?:\s+|$)")
_ESCAPE = lazy_pattern(r"#\s*escape\s*=\s*(\S)", re.IGNORECASE)
_HEREDOC = lazy_pattern(r"<<-?\s*(['\"]?)([A-Za-z_][A-Za-z0-9_]*)\1")
_OPERATOR = lazy_pattern(r"(?<!\\)(&&|\|\||;|\||\n|&(?!&))")
# One that is not closed takes the rest, so that it is read once; group 2 is the closing quote.
_STRINGS = lazy_pattern(r'"((?>(?:[^"\\]++|\\.)*))(?:(")|\\?\Z)', re.DOTALL)
_LONGEST = 10_000  # characters of a command that is split as a shell does
LONGEST_FILE = 200_000  # characters of a Dockerfile; a longer one is data


class Piece(NamedTuple):
    """A part of an instruction that stands on one line, and the offset of its first character in the file."""

    line: int
    offset: int
    text: str


class Instruction(NamedTuple):
    """An instruction by its upper-case name, and its arguments as they stand on its lines."""

    name: str
    line: int
    pieces: tuple[Piece, ...]

    @property
    def text(self) -> str:
        """The arguments on one line; those of a here-document on several."""
        return "".join(piece.text for piece in self.pieces)


class ShellCommand(NamedTuple):
    """A command of `RUN`: its words, its 1-based line, and the offset of its first character in the file."""

    words: tuple[str, ...]
    line: int
    offset: int


def instructions_of(text: str) -> Iterator[Instruction]:
    """The instructions of a Dockerfile, in their order; anything else is skipped, and a file that is too long."""
    if len(text) > LONGEST_FILE:
        return
    rows = [(number, offset, row) for number, offset, row in _rows(text)]
    directive = next((match[1] for _, _, row in rows[:3] if (match := _ESCAPE.match(row))), "\\")
    at = 0
    while at < len(rows):
        number, offset, row = rows[at]
        at += 1
        match = _INSTRUCTION.match(row)
        if match is None or row.lstrip().startswith("#"):
            continue
        pieces = [Piece(number, offset + match.end(), row[match.end() :])]
        while pieces[-1].text.rstrip().endswith(directive) and at < len(rows):
            last = pieces[-1]
            pieces[-1] = last._replace(text=last.text.rstrip()[:-1] + " ")
            while at < len(rows) and (rows[at][2].lstrip().startswith("#") or not rows[at][2].strip()):
                at += 1  # comments and empty lines do not end an instruction
            if at < len(rows):
                pieces.append(Piece(*rows[at]))
                at += 1
        name = match[1].upper()
        if name in ("RUN", "COPY", "ADD"):
            for _, word in _HEREDOC.findall("".join(piece.text for piece in pieces)):
                while at < len(rows):
                    pieces.append(Piece(rows[at][0], rows[at][1], f"\n{rows[at][2]}"))
                    at += 1
                    if pieces[-1].text.strip() == word:
                        break
        yield Instruction(name, number, tuple(pieces))


def commands_of(run: Instruction) -> Iterator[ShellCommand]:
    """The commands of a `RUN`, `CMD` or `ENTRYPOINT`, in shell or JSON form, without flags such as `--mount`."""
    text = run.text
    starts = tuple(accumulate((len(piece.text) for piece in run.pieces[:-1]), initial=0))
    start = 0
    while flag := re.compile(r"\s*--[a-z]+(=\S*)?\s+").match(text, start):
        start = flag.end()
    if text[start:].lstrip().startswith("["):
        words = tuple(word for word, closed in _STRINGS.findall(text[start:]) if closed)
        joined = words[2] if words[:2] in (("sh", "-c"), ("bash", "-c"), ("/bin/sh", "-c")) and words[2:] else ""
        yield ShellCommand(_words(joined) if joined else words, *_place(run, starts, start))
        return
    for part, offset in _commands(text, start):
        stripped = part.lstrip(" \t(){!")
        if words := _words(stripped):
            yield ShellCommand(words, *_place(run, starts, offset + len(part) - len(stripped)))


def _rows(text: str) -> Iterator[tuple[int, int, str]]:
    offset = 0
    for number, row in enumerate(text.split("\n"), 1):
        yield number, offset, row.removesuffix("\r")
        offset += len(row) + 1


def _commands(text: str, start: int) -> Iterator[tuple[str, int]]:
    at = start
    seen, double, single = start, 0, 0
    for match in _OPERATOR.finditer(text, start):
        double += text.count('"', seen, match.start())
        single += text.count("'", seen, match.start())
        seen = match.start()
        if double % 2 or single % 2:
            continue  # an operator inside quotes
        yield text[at : match.start()], at
        at = match.end()
    yield text[at:], at


def _words(text: str) -> tuple[str, ...]:
    if not text.strip():
        return ()
    if len(text) > _LONGEST:
        return tuple(text.split())  # `shlex` takes the square of the time
    try:
        return tuple(shlex.split(text, comments=True))
    except ValueError:
        return tuple(text.split())


def _place(run: Instruction, starts: Sequence[int], at: int) -> tuple[int, int]:
    """The line and the offset in the file of a position in the text of an instruction; `starts` are of its pieces."""
    piece = run.pieces[bisect_right(starts, at) - 1]
    line_end = piece.text.startswith("\n")
    return piece.line, piece.offset + at - starts[bisect_right(starts, at) - 1] - (1 if line_end else 0)
