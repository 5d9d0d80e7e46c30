"""The rule `script-lock`: a script with inline metadata (PEP 723) that uses MLflow has a lock that fits."""

import re
import shlex
from collections.abc import Iterator

from ....command.lazy_pattern import lazy_pattern
from ..rule import LintProblem, LintRule, ProjectFiles, SourceFile, is_test, line_at_offset
from ..version_ranges import normal_name

# The pattern of PEP 723, which is tried once: a file may begin thousands of blocks.
_START = lazy_pattern(r"^# /// script[ \t]*\r?$", re.MULTILINE)
_BLOCK = lazy_pattern(r"^# /// script[ \t]*\r?$\n(?P<content>(?:^#(?:| .*)\r?$\n)+?)^# ///[ \t]*\r?$", re.MULTILINE)
_DEPENDENCIES = lazy_pattern(r"^dependencies\s*=\s*\[((?>(?:[\s,]|\"[^\"\n]*\"|'[^'\n]*'|#[^\n]*)*))\]", re.MULTILINE)
_STRING = lazy_pattern(r"\"([^\"\n]+)\"|'([^'\n]+)'")
_NAME = lazy_pattern(r"\s*([A-Za-z0-9][A-Za-z0-9._-]*)\s*(?:\[[^\]]*\])?\s*([^;@]*)(;.*|@.*)?")
_MANIFEST = lazy_pattern(
    r"^\[manifest\]\r?\n(?:(?!\[).*\r?\n)*?requirements = \[((?>(?:\"[^\"\n]*\"|\[[^\]\[]*\]|[^\]\[\"])*))\]",
    re.MULTILINE,
)
_LOCKED = lazy_pattern(r'\{ name = "([^"]+)"([^{}]*)\}')
_SPECIFIER = lazy_pattern(r'specifier = "([^"]*)"')


def _check(source: SourceFile, files: ProjectFiles) -> Iterator[LintProblem]:
    if "# /// script" not in source.text:
        return
    start = _START.search(source.text)
    block = _BLOCK.match(source.text, start.start()) if start else None
    if block is None or is_test(source.path):
        return
    content = "\n".join(row.rstrip("\r")[2:] for row in block["content"].split("\n"))
    listed = _DEPENDENCIES.search(content)
    needed = dict(_requirement(one or other) for one, other in _STRING.findall(listed[1])) if listed else {}
    line = line_at_offset(source.text, block.start())
    command = f"uv lock --script {_quoted(source.path)}"
    lock = files.text(f"{source.path}.lock")
    if lock is None:
        if {"mlflow", "mlflow-skinny"} & needed.keys() and not files.exists(f"{source.path}.lock"):
            yield LintProblem(
                line=line,
                what=f"`{source.name}` uses MLflow and has no lock",
                why="`uv run` resolves its dependencies again each time",
                fix=command,
                in_folder=True,
            )
        return
    manifest = _MANIFEST.search(lock)
    locked = {normal_name(name): _ranges(rest) for name, rest in _LOCKED.findall(manifest[1])} if manifest else {}
    differing = sorted(
        name
        for name in needed.keys() | locked.keys()
        if (name in needed) != (name in locked)
        or (None not in (needed[name], locked[name]) and needed[name] != locked[name])
    )
    if differing:
        yield LintProblem(
            line=line,
            what=f"`{source.name}.lock` is out of date",
            why=f"{', '.join(differing[:3])} changed in the script after it was written",
            fix=command,
            in_folder=True,
        )


def _requirement(text: str) -> tuple[str, frozenset[str] | None]:
    """The normal name and the ranges of a requirement; None for one whose ranges are not compared."""
    match = _NAME.fullmatch(text)
    if match is None:
        return text, None
    return normal_name(match[1]), None if match[3] else _clauses(match[2])


def _ranges(rest: str) -> frozenset[str] | None:
    if re.search(r"\b(marker|url|git|path|directory|editable)\b", rest):
        return None
    specifier = _SPECIFIER.search(rest)
    return _clauses(specifier[1] if specifier else "")


def _clauses(ranges: str) -> frozenset[str]:
    return frozenset(filter(None, re.sub(r"[\s()]", "", ranges).split(",")))


def _quoted(name: str) -> str:
    return shlex.quote(f"./{name}" if name.startswith("-") else name)


RULE = LintRule(
    name="script-lock",
    summary="A script with inline metadata uses MLflow without a lock, or its lock is out of date.",
    files=r"\.py$",
    check=_check,
)
