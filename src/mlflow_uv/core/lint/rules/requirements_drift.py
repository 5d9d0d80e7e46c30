"""The rule `requirements-drift`: a requirements file beside a lock has the versions of the lock."""

import shlex
from collections.abc import Iterator

from ..requirement_lines import RequirementLine, is_hashed, requirement_lines
from ..rule import Edit, LintProblem, LintRule, LockedPackages, ProjectFiles, SourceFile
from ..silencing import silences
from ..version_ranges import same_version, satisfies

NAME = "requirements-drift"
_SHOWN = 3


def _check(source: SourceFile, files: ProjectFiles) -> Iterator[LintProblem]:
    folder = source.folder.removesuffix("requirements").rstrip("/")
    lock = files.lock_of(folder)
    if lock is None or lock.folder != folder:
        return  # of a service with packages of its own
    rows = source.text.split("\n")
    differing = []
    for requirement in requirement_lines(source.text):
        difference = _difference(requirement, lock, complete=source.name == "requirements.txt")
        if difference and not silences(rows, requirement.line, NAME):
            differing.append((requirement, difference))
    if not differing:
        return
    shown = ", ".join(difference for _, difference in differing[:_SHOWN])
    more = len(differing) - _SHOWN
    below = source.path.removeprefix(f"{folder}/") if folder else source.path
    edits = () if is_hashed(source.text) else tuple(_edits(differing, lock))
    yield LintProblem(
        line=differing[0][0].line,
        what=f"`{source.name}` differs from uv.lock",
        why=f"{shown}{f', and {more} more' if more > 0 else ''}",
        fix=f"uv export{_directory(folder)} --no-emit-project --output-file {_quoted(below)}",
        edits=edits,
        in_folder=True,
    )


def _difference(requirement: RequirementLine, lock: LockedPackages, *, complete: bool) -> str:
    """How a requirement differs from the lock; empty if it does not, or if this cannot be told."""
    locked = lock.versions.get(requirement.name)
    if locked is None:
        return f"{requirement.name} is not in the lock" if complete else ""
    if not locked:
        return ""  # a package without a version, such as the project itself
    if requirement.pinned:
        equal = any(same_version(requirement.pinned, version) for version in locked)
    else:
        equal = any(satisfies(version, requirement.ranges) is not False for version in locked)
    return "" if equal else f"{requirement.name}{requirement.ranges} is {locked[0]} in the lock"


def _edits(differing: list[tuple[RequirementLine, str]], lock: LockedPackages) -> Iterator[Edit]:
    for requirement, _ in differing:
        locked = lock.versions.get(requirement.name, ())
        if requirement.pinned and len(locked) == 1:
            yield Edit(requirement.start, requirement.end, f"=={locked[0]}")


def _directory(folder: str) -> str:
    """The option that runs uv in the folder of the lock; none for the checked folder."""
    return f" --directory {_quoted(folder)}" if folder else ""


def _quoted(name: str) -> str:
    return shlex.quote(f"./{name}" if name.startswith("-") else name)


RULE = LintRule(
    name=NAME,
    summary="A requirements file beside a lock has other versions than the lock.",
    files=r"(^|/)(requirements[^/]*|requirements/[^/]+)\.txt$",
    check=_check,
)
