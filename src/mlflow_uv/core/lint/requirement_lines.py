"""Reads the lines of a requirements file of pip."""

import re
from collections.abc import Iterator
from typing import NamedTuple

from ...command.lazy_pattern import lazy_pattern
from .rule import LONGEST_LINE
from .version_ranges import normal_name

# Nothing is tried twice: a line of spaces would take minutes.
_LINE = lazy_pattern(
    r"\s*+(?P<name>[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?)\s*+(?:\[[^\]]*\])?\s*+"
    r"(?>(?P<ranges>[=<>!~]\s*+[^\s;#\\]++(?>(?:\s++(?!--hash)[^\s;#\\]++)*))?)"
    r"\s*+(?>(?:;[^#\\]*+)?)(?>(?:--hash[^#]*+)?)\\?+\s*+(?:(?<=\s)#.*)?"
)


class RequirementLine(NamedTuple):
    """A requirement: its normal name, ranges and line (1-based), and where the ranges begin and end in the text."""

    name: str
    ranges: str
    line: int
    start: int
    end: int

    @property
    def pinned(self) -> str:
        """The version of a requirement with `==`; empty for any other."""
        match = re.fullmatch(r"===?\s*([^\s,*]+)", self.ranges)
        return match[1] if match else ""


def requirement_lines(text: str) -> Iterator[RequirementLine]:
    """The requirements of a file by name; options, URLs, paths and hashes are skipped."""
    offset = 0
    for number, row in enumerate(text.split("\n"), 1):
        line = row.removesuffix("\r")
        match = _LINE.fullmatch(line) if len(line) <= LONGEST_LINE else None
        if match:
            start, end = match.span("ranges") if match["ranges"] else (match.end("name"),) * 2
            ranges = (match["ranges"] or "").strip()
            yield RequirementLine(normal_name(match["name"]), ranges, number, offset + start, offset + end)
        offset += len(row) + 1


def is_hashed(text: str) -> bool:
    """Whether the requirements have hashes, so that a version cannot be changed alone."""
    return "--hash=" in text
