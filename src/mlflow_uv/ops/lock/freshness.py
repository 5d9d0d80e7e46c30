"""Is a lock fresh, and if not, why?"""

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

from ...command.errors import LockNotFresh
from ...command.inputs import Builds
from ...command.report import Finding, Severity
from ...core.freshness.causes import Cause
from ...core.release.digests import lock_digest
from ...tools.lock_toolbox import LockTools
from ...tools.project.files import Project, UnreadableProject, table_of
from ...tools.uv.inert_python import InertPython
from ...tools.uv.messages import LockState, LockVerdict
from ...tools.uv.uv import LockQuestion

T = TypeVar("T", bound=LockTools)
_RULE = "lock-"


@dataclass(frozen=True, kw_only=True, slots=True)
class Freshness:
    """
    What can be said of one lock. `changes` is what `uv lock` would do, one line each; empty where nobody could ask.

    A finding is an error for each cause, and a notice where a variable alone made the lock look stale.
    """

    project: Project
    state: LockState
    causes: tuple[Cause, ...] = ()
    findings: tuple[Finding, ...] = ()
    changes: tuple[str, ...] = ()
    lock_sha256: str = ""


def examine(project: Project, tools: LockTools, *, respect_env: bool, offline: bool) -> Freshness:
    """
    Ask uv without a network first: a fresh lock needs none. Only of another is the reason sought.

    With `offline`, or UV_OFFLINE, nothing else is asked. Raises ToolMissing, ToolFailed, BadProject.
    """
    ask = _asked if tools.uv.builds else _asked_without_builds
    try:
        question, verdict = ask(project, tools, respect_env=respect_env)
    except UnreadableProject as error:
        return _freshness(project, LockState.UNREADABLE, (unreadable(error),))
    if "during settings discovery" in verdict.words:
        from .settings_problems import ignored_settings  # noqa: PLC0415  # as below

        if wrong := ignored_settings(project, tools, question, verdict):
            return _freshness(project, LockState.UNREADABLE, wrong)
    if verdict.state is LockState.FRESH:
        return _freshness(project, LockState.FRESH, _shadowed(project, verdict))

    from .explain import UnfreshLock, explain  # noqa: PLC0415  # a fresh lock has no use for it

    switch = tools.host.variables.get("UV_OFFLINE", "").lower()
    offline = offline or switch not in ("", "0", "false", "f", "n", "no", "off")
    try:
        found = explain(UnfreshLock(project=project, tools=tools, question=question, verdict=verdict, offline=offline))
    except UnreadableProject as error:
        return _freshness(project, LockState.UNREADABLE, (unreadable(error),))
    return _freshness(project, found.state, (*found.findings, *_shadowed(project, verdict)), found.changes)


def _shadowed(project: Project, verdict: LockVerdict) -> tuple[Finding, ...]:
    """A warning of the keys that uv ignores because a uv.toml lies beside."""
    if "Found both a" not in verdict.words:
        return ()
    from .settings_problems import shadowed_settings  # noqa: PLC0415  # as above

    return shadowed_settings(project, verdict)


def _asked(project: Project, tools: LockTools, *, respect_env: bool) -> tuple[LockQuestion, LockVerdict]:
    """
    What uv says, and how it was asked: with our interpreter or with the one that it finds.

    With ours it need not search, which takes it 100 ms where there are shims. Which one asks changes no lock, unless
    the project does not say for which Pythons it is; then uv's own is the one, if it finds any.
    """
    plain = LockQuestion(respect_env=respect_env, offline=True)
    ours = replace(plain, python=tools.host.python)
    free = table_of(project.manifest, "project").get("requires-python") and not respect_env
    verdicts: dict[LockQuestion, LockVerdict] = {}
    for question in (ours, plain) if free else (plain, ours):
        verdicts[question] = verdict = tools.uv.lock_state(project, question)
        if verdict.state is LockState.FRESH or (question is plain and verdict.cause is not Cause.INTERPRETER):
            return question, verdict
    question = ours if verdicts[ours].cause is not Cause.INTERPRETER else plain
    return question, verdicts[question]


def _asked_without_builds(project: Project, tools: LockTools, *, respect_env: bool) -> tuple[LockQuestion, LockVerdict]:
    """The same of a uv that runs nothing which the project names: an interpreter is chosen here, not by the project."""
    ours = LockQuestion(respect_env=respect_env, offline=True, python=tools.host.python)
    declared = table_of(project.manifest, "project").get("requires-python")
    if declared:
        verdict = tools.uv.lock_state(project, ours)
        if verdict.cause is not Cause.INTERPRETER:
            return ours, verdict
    question = replace(ours, python=tools.uv.other_python(str(declared or _pinned(project))) or ours.python)
    return question, tools.uv.lock_state(project, question)


def _pinned(project: Project) -> str:
    """The version in `.python-version`, which may also hold a path."""
    try:
        text = (project.root / ".python-version").read_text(encoding="utf-8-sig", errors="replace").strip()
    except OSError:
        return ""
    return f"=={text}.*" if re.fullmatch(r"\d+\.\d+", text) else ""


def restricted(tools: T, builds: Builds) -> T:
    """The tools of a step, without build backends where the input refuses them or the event of CI is untrusted."""
    if builds is Builds.ALLOW or (builds is Builds.AUTO and not tools.host.untrusted_event):
        return tools
    host = tools.host
    inert = InertPython(cache=host.cache, default=host.python)
    return replace(tools, uv=tools.uv.without_builds(inert))


def require_fresh(project: Project, tools: LockTools, *, respect_env: bool) -> None:
    """For steps that make something from the lock. Raises LockNotFresh with the first thing check-lock would say."""
    found = examine(project, tools, respect_env=respect_env, offline=False)
    if found.state is not LockState.FRESH:
        finding = next(one for one in found.findings if one.severity is Severity.ERROR)
        raise LockNotFresh(what=finding.what, why=finding.why, fix=finding.fix)


def unreadable(error: UnreadableProject) -> Finding:
    """The finding for a manifest that is not TOML, on the line where it stops being that."""
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
    """With the causes that the findings tell, and the lock as it lies there."""
    found = tuple(findings)
    try:
        digest = lock_digest(project.lock.read_bytes())
    except OSError:
        digest = ""
    return Freshness(
        project=project,
        state=state,
        causes=tuple(dict.fromkeys(Cause(one.rule.removeprefix(_RULE)) for one in found)),
        findings=found,
        changes=changes,
        lock_sha256=digest,
    )
