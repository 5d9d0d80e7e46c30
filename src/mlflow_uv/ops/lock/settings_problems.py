"""Reports uv settings that are ignored or come from outside, and a uv that is too old for the lock."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import NamedTuple

from ...command.report import Finding, Severity
from ...command.wording import local
from ...core.freshness.causes import Cause, ManifestPlace
from ...core.freshness.ignored_settings import parse_ignored_settings, parse_shadowed_keys
from ...tools.lock_toolbox import LockTools
from ...tools.project.files import Project, path_from
from ...tools.project.manifests import ManifestLines
from ...tools.uv.argv import NEWER
from ...tools.uv.messages import LockState, LockVerdict
from ...tools.uv.settings import settings_of
from ...tools.uv.uv import LockRequest


def ignored_settings(
    project: Project, tools: LockTools, request: LockRequest, verdict: LockVerdict
) -> tuple[Finding, ...]:
    """
    Return findings for settings files that uv ignores because of an error in each: its verdict is without them.

    If the bundled uv accepts such a file, the finding is that the uv in use is too old.
    """
    ignored_files = tuple(parse_ignored_settings(verdict.words))
    if not ignored_files:
        return ()
    newer = _newer_that(tools, project, request, verdict, lambda other: not tuple(parse_ignored_settings(other.words)))
    findings = []
    for ignored in ignored_files:
        path = project.folder / ignored.file
        shown = "uv.toml" if path.name == "uv.toml" else "[tool.uv]"
        what = f"uv ignores the whole of {shown}"
        why, fix = ignored.why, f"correct line {ignored.line} of {path_from(tools.host.folder, path)}"
        if newer is not None:
            what, why, fix = (
                f"uv {newer.theirs} is too old for {shown} and ignores it",
                f"{why}; uv {newer.ours} supports it",
                NEWER,
            )
        finding = Finding(
            rule=f"lock-{Cause.SETTINGS.value}", what=what, why=why, fix=fix, path=path, line=ignored.line
        )
        findings.append(finding)
    return tuple(findings)


def shadowed_settings(project: Project, verdict: LockVerdict) -> tuple[Finding, ...]:
    """Return a warning for keys in `[tool.uv]` that a uv.toml overrides, at the first such key."""
    keys = parse_shadowed_keys(verdict.words)
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
    project: Project, tools: LockTools, request: LockRequest, verdict: LockVerdict
) -> tuple[str, str] | None:
    """Return what and why if the uv in use is too old to read the lock, else None."""
    newer = _newer_that(tools, project, request, verdict, lambda other: other.state is not LockState.UNREADABLE)
    if newer is None:
        return None
    return f"uv {newer.theirs} is too old to read uv.lock", f"{verdict.complaint}; uv {newer.ours} reads it"


class _Newer(NamedTuple):
    """Versions of the uv in use and of the bundled uv, which can do what the other cannot."""

    theirs: str
    ours: str


def _newer_that(
    tools: LockTools,
    project: Project,
    request: LockRequest,
    verdict: LockVerdict,
    can: Callable[[LockVerdict], bool],
) -> _Newer | None:
    """Return the versions if the bundled uv is newer than the uv in use and passes `can`, else None."""
    program = tools.uv.newer(verdict.program) if verdict.program else None
    if program is None or not can(tools.uv.lock_state(project, replace(request, program=program))):
        return None
    return _Newer(tools.uv.version(verdict.program) or "", tools.uv.version(program) or "")


def without_these(culprits: list[str], files: Mapping[str, tuple[str, ...]]) -> str:
    """Return the fix that removes these variables, and settings from files."""
    variables = [name for name in culprits if name not in files]
    quoted = ", ".join(f"`{name}`" for name in variables)
    settings = "; ".join(
        f"remove {', '.join(f'`{key}`' for key in files[name])} from {name}" for name in culprits if name in files
    )
    if not variables:
        return settings
    remainder = f"; {settings}" if settings else ""
    return local(f"unset {' '.join(variables)}{remainder}", f"remove {quoted} from `env`{remainder}")
