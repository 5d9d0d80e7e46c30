"""The rule `python-version`: .python-version, Dockerfiles and workflows use a Python that the project allows."""

import re
from collections.abc import Iterator

from ....command.lazy_pattern import lazy_pattern
from ..dockerfiles import FILES, instructions_of
from ..project_images import holds_project
from ..rule import LONGEST_LINE, LintProblem, LintRule, LockedPackages, ProjectFiles, SourceFile, is_test, joined_path
from ..version_ranges import satisfies

_PINNED = lazy_pattern(r"(?:cpython[-@])?(\d+\.\d+(?:\.\d+)?)(?:[+-].*)?")
_IMAGE = lazy_pattern(
    r"(?:.*/)?(?:python:(?P<tag>\d+\.\d+(?:\.\d+)?)(?![\d.]|rc|a\d|b\d)|uv:python(?P<uv>\d+\.\d+)(?![\d.])).*"
)
_ARGUMENT = lazy_pattern(r"\$\{?(\w+)(?::-[^}]*)?\}?")
_WORKFLOW = lazy_pattern(r"(^|/)\.github/workflows/[^/]+\.ya?ml$")
_WORKFLOW_VALUE = lazy_pattern(r"\s*(?:-\s+)?(?:python-version|python_version|python):\s*(?P<value>[^#\n]+)(?:#.*)?")
_PATCHES = 40  # of a minor version: more than any has had
_VERSION = lazy_pattern(r"(?<![\d.\w])(?P<quote>['\"]?)(?P<version>3\.\d+(?:\.\d+)?)(?P=quote)(?![\w.*])")


def _check(source: SourceFile, files: ProjectFiles) -> Iterator[LintProblem]:
    if is_test(source.path):
        return
    workflow = _WORKFLOW.search(source.path)
    folder = source.path[: workflow.start()] if workflow else source.folder
    lock = files.lock_of(folder)
    if lock is None or not lock.requires_python:
        return
    if source.name == ".python-version":
        yield from _pin(source, lock)
    elif workflow:
        yield from _workflow(source, lock)
    elif source.name != "pyproject.toml":
        yield from _images(source, lock, files)
    else:
        path = joined_path(source.folder, ".python-version")
        pin = SourceFile(path, files.text(path) or "")
        yield from (problem._replace(path=path) for problem in _pin(pin, lock))


def _pin(source: SourceFile, lock: LockedPackages) -> Iterator[LintProblem]:
    for number, row in enumerate(source.text.split("\n"), 1):
        match = _PINNED.fullmatch(row.strip())
        if match and not _allowed(match[1], lock):
            yield _problem(number, f"`.python-version` is {match[1]}", lock)


def _images(source: SourceFile, lock: LockedPackages, files: ProjectFiles) -> Iterator[LintProblem]:
    if "python" not in source.text:
        return
    instructions = tuple(instructions_of(source.text))
    arguments: dict[str, str] = {}
    for instruction in instructions:
        name, equals, value = instruction.text.strip().partition("=")
        if instruction.name == "ARG" and equals:
            arguments[name] = value.strip("'\"")
    images = []
    for instruction in instructions:
        if instruction.name == "FROM":
            words = [word for word in instruction.text.split() if not word.startswith("--")]
            image = _ARGUMENT.sub(lambda found: arguments.get(found[1], found[0]), words[0]) if words else ""
            if match := _IMAGE.fullmatch(image):
                images.append((instruction.line, match["tag"] or match["uv"]))
    if not images or not holds_project(instructions, source.folder, files):
        return
    pinned = _pinned_version(lock, files)
    for line, version in images:
        if not _allowed(version, lock):
            yield _problem(line, f"the image has Python {version}", lock)
        elif pinned and _minor(pinned) != _minor(version):
            yield LintProblem(
                line=line,
                what=f"the image has Python {version}, and `.python-version` is {pinned}",
                why="the model is trained with another Python than the one that serves it",
                fix="use one of them in both",
            )


def _workflow(source: SourceFile, lock: LockedPackages) -> Iterator[LintProblem]:
    if "working-directory" in source.text or "python" not in source.text:
        return  # of several projects, the file does not tell which one a version is for
    for number, row in enumerate(source.text.split("\n"), 1):
        match = _WORKFLOW_VALUE.fullmatch(row.removesuffix("\r")) if len(row) <= LONGEST_LINE else None
        if match is None or "${{" in match["value"]:
            continue
        for version in _VERSION.finditer(match["value"]):
            if _is_shortened(version):
                yield LintProblem(
                    line=number,
                    what=f"`{version['version']}` without quotes is the number {float(version['version'])}",
                    why="YAML drops the zero at the end of a number",
                    fix=f'"{version["version"]}"',
                )
            elif not _allowed(version["version"], lock):
                yield _problem(number, f"the workflow uses Python {version['version']}", lock)


def _is_shortened(version: re.Match[str]) -> bool:
    """Whether YAML reads a version as a number that is written shorter, as `3.10` without quotes is 3.1."""
    return not version["quote"] and re.fullmatch(r"3\.\d*0", version["version"]) is not None


def _pinned_version(lock: LockedPackages, files: ProjectFiles) -> str:
    for row in (files.text(joined_path(lock.folder, ".python-version")) or "").split("\n"):
        if match := _PINNED.fullmatch(row.strip()):
            return match[1]
    return ""


def _minor(version: str) -> str:
    return ".".join(version.split(".")[:2])


def _allowed(version: str, lock: LockedPackages) -> bool:
    """Whether the range of the lock has a version; `3.11` stands for any 3.11, of which a range may have one alone."""
    if version.count(".") > 1:
        return satisfies(version, lock.requires_python) is not False
    candidates = (version, f"{version}.99", *(f"{version}.{patch}" for patch in range(_PATCHES)))
    return any(satisfies(candidate, lock.requires_python) is not False for candidate in candidates)


def _problem(line: int, what: str, lock: LockedPackages) -> LintProblem:
    return LintProblem(
        line=line,
        what=f"{what}, which `requires-python` excludes",
        why=f"the lock is for `{lock.requires_python}`",
        fix="use a Python in that range, or change `requires-python` and run `uv lock`",
    )


RULE = LintRule(
    name="python-version",
    summary="A Dockerfile, a workflow or `.python-version` has a Python that the project excludes.",
    files=rf"(^|/)(\.python-version|pyproject\.toml)$|{FILES}|{_WORKFLOW.pattern}",
    check=_check,
)
