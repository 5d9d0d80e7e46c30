"""Checks the locks of single scripts (PEP 723), which `uv lock --script` writes beside them."""

import shlex
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from ...command.errors import BadProject
from ...command.report import Finding
from ...core.freshness.causes import Cause
from ...core.security.size_limits import LOCK_LIMIT
from ...payloads.messages.lazy_dataclass import lazy_dataclass
from ...tools.lock_toolbox import LockTools
from ...tools.project.files import Project, path_from, require_bounded
from ...tools.project.tree import script_locks_below
from ...tools.uv.messages import LockState, LockVerdict
from ...tools.uv.uv import LockRequest

_WHAT = {
    LockState.STALE: "{} is out of date",
    LockState.UNSOLVABLE: "the requirements of {} have no solution",
    LockState.UNREADABLE: "{} cannot be read",
}


@lazy_dataclass
class ScriptAnswer:
    """The result for the lock of a script; a finding and a cause if it is not fresh."""

    state: LockState
    causes: tuple[Cause, ...] = ()
    findings: tuple[Finding, ...] = ()


def script_answers(
    folder: Path, tools: LockTools, *, exclude: tuple[str, ...], respect_env: bool, offline: bool
) -> Iterator[ScriptAnswer]:
    """Check every script lock below a folder, offline first. Raises ToolMissing, ToolFailed."""
    for lock in script_locks_below(folder, tools.git, exclude=exclude):
        script = lock.with_suffix("")
        if (refused := _refused(script, lock, tools.host.folder)) is not None:
            yield refused
            continue
        project = Project(folder=script.parent, root=script.parent, manifest={})
        request = LockRequest(
            respect_env=respect_env, offline=True, python=tools.host.python, script=f"./{script.name}"
        )
        verdict = tools.uv.lock_state(project, request)
        if verdict.state is not LockState.FRESH and not offline:
            verdict = tools.uv.lock_state(project, replace(request, offline=False, changes=True))
        yield _answer(script, lock, verdict, tools.host.folder)


def _refused(script: Path, lock: Path, where: Path) -> ScriptAnswer | None:
    """Return the result for a lock that is not a file or too large for uv to read; None if uv may read it."""
    reason = "" if lock.is_file() else "it is a folder, a dangling link, a device or a pipe"
    unbounded: BadProject | None = None
    try:
        require_bounded(lock, LOCK_LIMIT)
    except BadProject as error:
        unbounded = error
    if not reason and unbounded is None:
        return None
    finding = Finding(
        rule=f"lock-{Cause.UNREADABLE.value}",
        what=f"`{lock.name}` cannot be read",
        why=reason or str(unbounded and (unbounded.why or unbounded.what)),
        fix=f"rm -r {_quoted(where, lock)} && uv lock --script {_quoted(where, script)}",
        path=lock,
    )
    return ScriptAnswer(state=LockState.UNREADABLE, causes=(Cause.UNREADABLE,), findings=(finding,))


def _quoted(where: Path, path: Path) -> str:
    """Quote a path for a shell, relative to a folder; it never looks like a flag to uv or rm."""
    seen = path_from(where, path)
    return shlex.quote(f"./{seen}" if seen.startswith("-") else seen)


def _answer(script: Path, lock: Path, verdict: LockVerdict, where: Path) -> ScriptAnswer:
    if verdict.state is LockState.FRESH:
        return ScriptAnswer(state=verdict.state)
    cause = verdict.cause or Cause.UNKNOWN
    command = f"uv lock --script {_quoted(where, script)}"
    what = _WHAT.get(verdict.state, "{} cannot be checked").format(f"`{lock.name}`")
    changes = ", ".join(f"{change[0].lower()}{change[1:]}" for change in verdict.changes[:5])
    reason = f"uv says: {verdict.again}" if verdict.again else ""
    why = "; ".join(part for part in (reason, f"`{command}` would {changes}" if changes else "") if part)
    unreadable = verdict.state is LockState.UNREADABLE
    finding = Finding(
        rule=f"lock-{cause.value}",
        what=what,
        why=why or verdict.complaint,
        fix=f"rm {_quoted(where, lock)} && {command}" if unreadable else command,
        path=lock,
        line=verdict.line if unreadable else 1,
    )
    return ScriptAnswer(state=verdict.state, causes=(cause,), findings=(finding,))
