"""Checks the locks of single scripts (PEP 723), which `uv lock --script` writes beside them."""

import shlex
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from .core.causes import Cause
from .report import Finding
from .tools.files import Project, seen_from
from .tools.locktools import LockTools
from .tools.tree import script_locks_below
from .tools.uv import LockQuestion
from .tools.uvwords import LockState, LockVerdict

_WHAT = {
    LockState.STALE: "{} is out of date",
    LockState.UNSOLVABLE: "the requirements of {} have no solution",
    LockState.UNREADABLE: "{} cannot be read",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class ScriptAnswer:
    """What can be said of the lock of a script; a finding and a cause where it is not fresh."""

    state: LockState
    causes: tuple[Cause, ...] = ()
    findings: tuple[Finding, ...] = ()


def script_answers(
    folder: Path, tools: LockTools, *, exclude: tuple[str, ...], respect_env: bool, offline: bool
) -> Iterator[ScriptAnswer]:
    """Ask of every script below a folder that has a lock, without a network first. Raises ToolMissing, ToolFailed."""
    for lock in script_locks_below(folder, tools.git, exclude=exclude):
        script = lock.with_suffix("")
        project = Project(folder=script.parent, root=script.parent, manifest={})
        question = LockQuestion(
            respect_env=respect_env, offline=True, python=tools.surroundings.python, script=f"./{script.name}"
        )
        verdict = tools.uv.lock_state(project, question)
        if verdict.state is not LockState.FRESH and not offline:
            verdict = tools.uv.lock_state(project, replace(question, offline=False, changes=True))
        yield _answer(script, lock, verdict, tools.surroundings.folder)


def _answer(script: Path, lock: Path, verdict: LockVerdict, where: Path) -> ScriptAnswer:
    if verdict.state is LockState.FRESH:
        return ScriptAnswer(state=verdict.state)
    cause = verdict.cause or Cause.UNKNOWN
    command = f"uv lock --script {shlex.quote(seen_from(where, script))}"
    what = _WHAT.get(verdict.state, "whether {} is fresh cannot be told").format(f"`{lock.name}`")
    changes = ", ".join(f"{change[0].lower()}{change[1:]}" for change in verdict.changes[:5])
    again = f"uv says: {verdict.again}" if verdict.again else ""
    why = "; ".join(part for part in (again, f"`{command}` would {changes}" if changes else "") if part)
    unreadable = verdict.state is LockState.UNREADABLE
    finding = Finding(
        rule=f"lock-{cause.value}",
        what=what,
        why=why or verdict.complaint,
        fix=f"rm {shlex.quote(seen_from(where, lock))} && {command}" if unreadable else command,
        path=lock,
        line=verdict.line if unreadable else 1,
    )
    return ScriptAnswer(state=verdict.state, causes=(cause,), findings=(finding,))
