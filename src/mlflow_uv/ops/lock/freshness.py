"""Checks whether a lock is fresh, and finds the causes if it is not."""

import re
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

from ...command.errors import LockNotFresh
from ...command.inputs import Builds
from ...command.report import Finding, Severity
from ...core.freshness.causes import Cause
from ...core.release.digests import lock_digest
from ...payloads.messages.lazy_dataclass import lazy_dataclass
from ...tools.lock_toolbox import LockTools
from ...tools.project.files import Project, UnreadableProject, table_of
from ...tools.uv.inert_python import InertPython
from ...tools.uv.messages import LockState, LockVerdict
from ...tools.uv.uv import LockRequest

T = TypeVar("T", bound=LockTools)
_RULE = "lock-"
# Words of uv's warnings about files of settings that it ignores, whole or in part.
_ABOUT_SETTINGS = ("during settings discovery", "Found both a")


@lazy_dataclass
class Freshness:
    """
    The result for one lock. `changes` are the changes `uv lock` would make, one line each; empty if unknown.

    Each cause has a finding of severity error; a notice reports that only a variable made the lock look stale.
    """

    project: Project
    state: LockState
    causes: tuple[Cause, ...] = ()
    findings: tuple[Finding, ...] = ()
    changes: tuple[str, ...] = ()
    lock_sha256: str = ""


def examine(project: Project, tools: LockTools, *, respect_env: bool, offline: bool) -> Freshness:
    """
    Check with uv offline first: a fresh lock needs no network. Causes are only looked for in other locks.

    With `offline`, or UV_OFFLINE, the network is never used. Raises ToolMissing, ToolFailed, BadProject.
    """
    check = _checked if tools.uv.builds else _checked_without_builds
    switch = tools.host.variables.get("UV_OFFLINE", "").lower()
    offline = offline or switch not in ("", "0", "false", "f", "n", "no", "off")
    try:
        request, verdict = check(project, tools, respect_env=respect_env)
        if verdict.state is LockState.FRESH and not any(words in verdict.words for words in _ABOUT_SETTINGS):
            return _freshness(project, LockState.FRESH)
        from .explain import UnclearVerdict, explain  # noqa: PLC0415  # imports `packaging`

        explanation = explain(
            UnclearVerdict(project=project, tools=tools, request=request, verdict=verdict, offline=offline)
        )
    except UnreadableProject as error:
        return _freshness(project, LockState.UNREADABLE, (unreadable(error),))
    return _freshness(project, explanation.state, explanation.findings, explanation.changes)


def _checked(project: Project, tools: LockTools, *, respect_env: bool) -> tuple[LockRequest, LockVerdict]:
    """
    Return uv's verdict and the request that it answers: with this program's interpreter or with the one uv finds.

    With this program's interpreter uv need not search, which takes 100 ms with shims. The interpreter does not affect
    the lock unless the project has no `requires-python`; then the interpreter that uv finds is preferred.
    """
    plain = LockRequest(respect_env=respect_env, offline=True)
    ours = replace(plain, python=tools.host.python)
    free = table_of(project.manifest, "project").get("requires-python") and not respect_env
    verdicts: dict[LockRequest, LockVerdict] = {}
    for request in (ours, plain) if free else (plain, ours):
        verdicts[request] = verdict = tools.uv.lock_state(project, request)
        if verdict.state is LockState.FRESH or (request is plain and verdict.cause is not Cause.INTERPRETER):
            return request, verdict
    request = ours if verdicts[ours].cause is not Cause.INTERPRETER else plain
    return request, verdicts[request]


def _checked_without_builds(
    project: Project, tools: LockTools, *, respect_env: bool
) -> tuple[LockRequest, LockVerdict]:
    """Do the same without running anything that the project names: the interpreter is chosen here."""
    ours = LockRequest(respect_env=respect_env, offline=True, python=tools.host.python)
    declared = table_of(project.manifest, "project").get("requires-python")
    if declared:
        verdict = tools.uv.lock_state(project, ours)
        if verdict.cause is not Cause.INTERPRETER:
            return ours, verdict
    request = replace(ours, python=tools.uv.other_python(str(declared or _pinned(project))) or ours.python)
    return request, tools.uv.lock_state(project, request)


def _pinned(project: Project) -> str:
    """Return the version in `.python-version` as a specifier, empty for a path."""
    try:
        text = (project.root / ".python-version").read_text(encoding="utf-8-sig", errors="replace").strip()
    except OSError:
        return ""
    return f"=={text}.*" if re.fullmatch(r"\d+\.\d+", text) else ""


def restricted(tools: T, builds: Builds) -> T:
    """Return the tools, without build backends if `builds` refuses them or the checkout is not trusted."""
    if builds is Builds.ALLOW or (builds is Builds.AUTO and not tools.host.untrusted_event):
        return tools
    host = tools.host
    inert = InertPython(cache=host.cache, default=host.python)
    return replace(tools, uv=tools.uv.without_builds(inert))


def require_fresh(project: Project, tools: LockTools, *, respect_env: bool) -> None:
    """Raise LockNotFresh with the first error of check-lock, for steps that use the lock."""
    freshness = examine(project, tools, respect_env=respect_env, offline=False)
    if freshness.state is not LockState.FRESH:
        finding = next(candidate for candidate in freshness.findings if candidate.severity is Severity.ERROR)
        raise LockNotFresh(what=finding.what, why=finding.why, fix=finding.fix)


def unreadable(error: UnreadableProject) -> Finding:
    """Return the finding for a manifest that is not TOML, at the line of the error."""
    marker = 0 if error.bounded else _conflict_line(error.path)
    cause, line = (Cause.CONFLICT, marker) if marker else (Cause.UNREADABLE, error.line)
    why = "it holds merge conflict markers" if marker else error.why
    fix = f"resolve the conflict at line {line} of {error.path.name}" if marker else error.fix
    return Finding(rule=_RULE + cause.value, what=error.what, why=why, fix=fix, path=error.path, line=line)


def _conflict_line(path: Path) -> int:
    """The 1-based line of the first merge conflict marker, 0 where there is none."""
    try:
        data = path.read_bytes()
    except OSError:
        return 0
    marker = re.search(rb"^(<<<<<<< |>>>>>>> )", data, re.MULTILINE)
    return data.count(b"\n", 0, marker.start()) + 1 if marker else 0


def _freshness(
    project: Project, state: LockState, findings: Iterable[Finding] = (), changes: tuple[str, ...] = ()
) -> Freshness:
    """Build the result from its findings and the digest of the lock."""
    all_findings = tuple(findings)
    try:
        digest = lock_digest(project.lock.read_bytes())
    except OSError:
        digest = ""
    return Freshness(
        project=project,
        state=state,
        causes=tuple(dict.fromkeys(Cause(finding.rule.removeprefix(_RULE)) for finding in all_findings)),
        findings=all_findings,
        changes=changes,
        lock_sha256=digest,
    )
