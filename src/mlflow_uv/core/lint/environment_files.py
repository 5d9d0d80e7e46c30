"""
Reads the dependencies of MLflow's and conda's environment files, line by line.

Only the lists that `conda env export` and MLflow write are read: an item is `- name`, `- name=1.2` or `- name==1.2`.
"""

import re
from collections.abc import Iterator
from typing import NamedTuple

from ...command.lazy_pattern import lazy_pattern
from .rule import LONGEST_LINE
from .version_ranges import normal_name

_ITEM = lazy_pattern(
    r"\s*-\s+(?P<quote>['\"]?)(?:[\w.-]+::)?(?P<name>[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?)(?:\[[^\]]*\])?\s*"
    r"(?>(?P<ranges>[=<>!~](?>(?:\s*+[^'\";#\s]++)*))?)\s*+(?P=quote)\s*+(?:#.*)?"
)
_KEY = lazy_pattern(r"\s*(?:-\s+)?([A-Za-z_]+):\s*(?:#.*)?")
_PYTHON = lazy_pattern(r"python:\s*['\"]?(\d[\d.]*)['\"]?\s*(?:#.*)?")


class EnvironmentItem(NamedTuple):
    """A dependency: its normal name, its ranges as of pip, its line (1-based), and where the ranges are in the text."""

    name: str
    ranges: str
    line: int
    start: int
    end: int


def environment_items(text: str) -> Iterator[EnvironmentItem]:
    """The dependencies with a version; `python: 3.11` of a `python_env.yaml` is one of them."""
    offset, listed = 0, False
    for number, row in enumerate(text.split("\n"), 1):
        line = row.removesuffix("\r")
        if len(line) > LONGEST_LINE:
            pass
        elif key := _KEY.fullmatch(line):
            listed = key[1] in ("dependencies", "build_dependencies", "pip")
        elif python := _PYTHON.fullmatch(line):
            start, end = python.span(1)
            yield EnvironmentItem("python", f"=={python[1]}", number, offset + start, offset + end)
        elif listed and (item := _ITEM.fullmatch(line)) and item["ranges"]:
            start, end = item.span("ranges")
            yield EnvironmentItem(
                normal_name(item["name"]), _as_pip(item["ranges"]), number, offset + start, offset + end
            )
        offset += len(row) + 1


def _as_pip(ranges: str) -> str:
    """The ranges of pip for those of conda: `=1.2` and `=1.2=build` are any 1.2."""
    ranges = ranges.strip()
    match = re.fullmatch(r"=([0-9][\w.]*?)(\.?\*)?(=[^=]+)?", ranges)
    return f"=={match[1]}.*" if match else ranges
