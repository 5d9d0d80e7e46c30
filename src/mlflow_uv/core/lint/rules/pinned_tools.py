"""The rule `pinned-tools`: hooks and workflows use the versions of tools that the lock has."""

import re
from collections.abc import Iterator

from ....command.lazy_pattern import lazy_pattern
from ..rule import LONGEST_LINE, Edit, LintProblem, LintRule, LockedPackages, ProjectFiles, SourceFile
from ..version_ranges import normal_name, release_of, same_version

# Repositories of pre-commit hooks whose tags are the versions of a package.
_HOOKS = {
    "astral-sh/ruff-pre-commit": "ruff",
    "astral-sh/uv-pre-commit": "uv",
    "charliermarsh/ruff-pre-commit": "ruff",
    "codespell-project/codespell": "codespell",
    "kynan/nbstripout": "nbstripout",
    "nbqa-dev/nbqa": "nbqa",
    "pre-commit/mirrors-mypy": "mypy",
    "psf/black": "black",
    "psf/black-pre-commit-mirror": "black",
    "pycqa/bandit": "bandit",
    "pycqa/docformatter": "docformatter",
    "pycqa/flake8": "flake8",
    "pycqa/isort": "isort",
    "pycqa/pylint": "pylint",
    "robertcraigie/pyright-python": "pyright",
    "rbubley/mirrors-ruff": "ruff",
    "asottile/pyupgrade": "pyupgrade",
}
_REPO = lazy_pattern(r"\s*(?:-\s+)?repo:\s*['\"]?https://github\.com/([\w.-]+/[\w.-]+?)(?:\.git)?/?['\"]?\s*(?:#.*)?")
_REV = lazy_pattern(r"\s*(?:-\s+)?rev:\s*['\"]?(v?)([0-9][^'\"\s#]*)['\"]?\s*(?:#.*)?")
_ADDITIONAL = lazy_pattern(r"(?<![A-Za-z0-9._-])([A-Za-z0-9][A-Za-z0-9._-]*+)(?:\[[^\]]*\])?==([0-9][^'\"\s,\]#;]*)")
_UVX = lazy_pattern(r"\b(?:uvx|uv tool run)\s+(?:--from\s+)?['\"]?([A-Za-z][A-Za-z0-9._-]*)(?:@|==)([0-9][^'\"\s;&|]*)")


def _check(source: SourceFile, files: ProjectFiles) -> Iterator[LintProblem]:
    hooks = source.name.startswith(".pre-commit-config")
    folder = source.folder if hooks else source.path.partition(".github/")[0].rstrip("/")
    lock = files.lock_of(folder)
    if lock is not None:
        yield from _hooks(source, lock) if hooks else _workflow(source, lock)


def _hooks(source: SourceFile, lock: LockedPackages) -> Iterator[LintProblem]:
    package, additional, offset = "", False, 0
    for number, row in enumerate(source.text.split("\n"), 1):
        line = row.removesuffix("\r") if len(row) <= LONGEST_LINE else ""
        if repo := _REPO.fullmatch(line):
            package = _HOOKS.get(repo[1].lower(), "")
        elif package and (rev := _REV.fullmatch(line)):
            yield from _differing(package, rev[2], number, lock, _edit(rev, 2, offset, package, lock))
            package = ""
        stripped = line.strip()
        if "additional_dependencies:" in line:
            additional = True
        elif (stripped and not stripped.startswith(("-", "]", "#", "'", '"'))) or "repo:" in line or "id:" in line:
            additional = False
        if additional and not stripped.startswith("#"):
            for match in _ADDITIONAL.finditer(line):
                name = normal_name(match[1])
                yield from _differing(name, match[2], number, lock, _edit(match, 2, offset, name, lock))
        offset += len(row) + 1


def _workflow(source: SourceFile, lock: LockedPackages) -> Iterator[LintProblem]:
    if "uvx" not in source.text and "uv tool run" not in source.text:
        return
    offset = 0
    for number, row in enumerate(source.text.split("\n"), 1):
        if len(row) <= LONGEST_LINE and not row.lstrip().startswith("#"):
            for match in _UVX.finditer(row):
                name = normal_name(match[1])
                yield from _differing(name, match[2], number, lock, _edit(match, 2, offset, name, lock))
        offset += len(row) + 1


def _differing(
    package: str, version: str, line: int, lock: LockedPackages, edits: tuple[Edit, ...]
) -> Iterator[LintProblem]:
    locked = lock.versions.get(package, ())
    if not locked or release_of(version) is None or any(same_version(version, other) for other in locked):
        return
    yield LintProblem(
        line=line,
        what=f"{package} is {version} here, and {', '.join(locked)} in uv.lock",
        why="a check passes in one place and fails in the other",
        fix=f"use {package} {locked[0]} here, or `uv add --dev {package}=={version}`",
        edits=edits,
    )


def _edit(match: re.Match[str], group: int, offset: int, package: str, lock: LockedPackages) -> tuple[Edit, ...]:
    locked = lock.versions.get(package, ())
    start, end = match.span(group)
    return (Edit(offset + start, offset + end, locked[0]),) if len(locked) == 1 else ()


RULE = LintRule(
    name="pinned-tools",
    summary="A pre-commit hook or a workflow pins another version of a tool than the lock.",
    files=r"(^|/)\.pre-commit-config\.ya?ml$|(^|/)\.github/(workflows|actions)/.*\.ya?ml$",
    check=_check,
)
