"""Explains what settings from outside, settings that uv ignores, and an old uv make of a lock."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import NamedTuple

from ...command.report import Finding, Severity
from ...command.wording import local
from ...core.freshness.causes import Cause, ManifestPlace
from ...core.freshness.ignored_settings import ignored_in, shadowed_in
from ...tools.lock_toolbox import LockTools
from ...tools.project.files import Project, path_from
from ...tools.project.manifests import ManifestLines
from ...tools.uv.argv import NEWER
from ...tools.uv.messages import LockState, LockVerdict
from ...tools.uv.settings import settings_of
from ...tools.uv.uv import LockQuestion


def ignored_settings(
    project: Project, tools: LockTools, question: LockQuestion, verdict: LockVerdict
) -> tuple[Finding, ...]:
    """
    The files whose settings uv ignores, for one wrong word in each: whatever it says of the lock is about another one.

    Where our own uv reads them, the one that was asked is too old.
    """
    newer = _newer_that(tools, project, question, verdict, lambda other: not tuple(ignored_in(other.words)))
    found = []
    for one in ignored_in(verdict.words):
        path = project.folder / one.file
        shown = "uv.toml" if path.name == "uv.toml" else "[tool.uv]"
        what = f"uv ignores the whole of {shown}"
        why, fix = one.why, f"correct line {one.line} of {path_from(tools.host.folder, path)}"
        if newer is not None:
            what, why, fix = (
                f"uv {newer.theirs} is too old for {shown} and ignores it",
                f"{why}; uv {newer.ours} supports it",
                NEWER,
            )
        finding = Finding(rule=f"lock-{Cause.SETTINGS.value}", what=what, why=why, fix=fix, path=path, line=one.line)
        found.append(finding)
    return tuple(found)


def shadowed_settings(project: Project, verdict: LockVerdict) -> tuple[Finding, ...]:
    """What stands in `[tool.uv]` to no effect, because a uv.toml lies beside; at the first such key."""
    keys = shadowed_in(verdict.words)
    settings = settings_of(project.root)
    if not keys or settings is None:
        return ()
    path = settings.path.with_name("pyproject.toml")
    finding = Finding(
        rule=f"lock-{Cause.SETTINGS.value}",
        severity=Severity.WARNING,
        what=f"uv ignores {', '.join(f'`{key}`' for key in keys)} in [tool.uv]",
        why=f"{settings.path.name} is next to it and takes precedence",
        fix=f"move {'it' if len(keys) == 1 else 'them'} into {settings.path.name}",
        path=path,
        line=ManifestLines(path.parent).at(ManifestPlace(path.name, ("tool", "uv", keys[0]))),
    )
    return (finding,)


def too_old_to_read(
    project: Project, tools: LockTools, question: LockQuestion, verdict: LockVerdict
) -> tuple[str, str] | None:
    """What is so and why, where the uv that was asked is too old to read the lock; None where it is not for that."""
    newer = _newer_that(tools, project, question, verdict, lambda other: other.state is not LockState.UNREADABLE)
    if newer is None:
        return None
    return f"uv {newer.theirs} is too old to read uv.lock", f"{verdict.complaint}; uv {newer.ours} reads it"


class _Newer(NamedTuple):
    """The versions of the uv that was asked and of our own, which can do what that cannot."""

    theirs: str
    ours: str


def _newer_that(
    tools: LockTools,
    project: Project,
    question: LockQuestion,
    verdict: LockVerdict,
    can: Callable[[LockVerdict], bool],
) -> _Newer | None:
    """Our own uv, if it is newer than the one that was asked and can do what that cannot."""
    program = tools.uv.newer(verdict.program) if verdict.program else None
    if program is None or not can(tools.uv.lock_state(project, replace(question, program=program))):
        return None
    return _Newer(tools.uv.version(verdict.program) or "", tools.uv.version(program) or "")


def without_these(guilty: list[str], files: Mapping[str, tuple[str, ...]]) -> str:
    """How a caller takes variables, and settings in files, away."""
    variables = [name for name in guilty if name not in files]
    quoted = ", ".join(f"`{name}`" for name in variables)
    settings = "; ".join(
        f"remove {', '.join(f'`{key}`' for key in files[name])} from {name}" for name in guilty if name in files
    )
    if not variables:
        return settings
    more = f"; {settings}" if settings else ""
    return local(f"unset {' '.join(variables)}{more}", f"remove {quoted} from `env`{more}")
