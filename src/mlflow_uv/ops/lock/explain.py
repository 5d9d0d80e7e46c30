"""Why is a lock not fresh, or why can nobody tell?"""

import re
import shlex
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path, PurePath
from typing import NamedTuple

from ...command.errors import ToolFailed
from ...command.report import Finding, Severity
from ...command.wording import Wording, local, option
from ...core.freshness.causes import Cause, Difference, ManifestPlace
from ...core.freshness.declared import Workspace
from ...core.freshness.staleness import differences, not_requirements
from ...core.freshness.uv_reasons import blamed_place
from ...core.lock.lockfile import Lockfile, NotALock, read_lockfile
from ...tools.lock_toolbox import LockTools
from ...tools.project.files import Project, path_from, read_manifest
from ...tools.project.manifests import ManifestLines, read_workspace
from ...tools.uv.argv import NEWER
from ...tools.uv.index_logins import Refusal, refusal_in
from ...tools.uv.messages import LockState, LockVerdict
from ...tools.uv.uv import LockQuestion
from .index_problems import index_faults, not_found
from .manifest_problems import manifest_fault
from .missing_files import absent_groups
from .settings_problems import too_old_to_read, without_these

_SHOWN = 5  # changes in a sentence


@dataclass(frozen=True, kw_only=True, slots=True)
class UnfreshLock:
    """A lock that uv, asked without a network, did not call fresh; `offline` says that it may not be asked with one."""

    project: Project
    tools: LockTools
    question: LockQuestion
    verdict: LockVerdict
    offline: bool


class Explanation(NamedTuple):
    """What it turned out to be, which may be fresh after all; a finding for each cause; what locking would change."""

    state: LockState
    findings: tuple[Finding, ...]
    changes: tuple[str, ...] = ()


def explain(case: UnfreshLock) -> Explanation:
    """Find out why. Raises Unreadable for a manifest that is not TOML, BadProject, ToolMissing, ToolFailed."""
    return _Explaining(case).outcome()


class _Explaining:
    def __init__(self, case: UnfreshLock) -> None:
        self._case = case
        self._project = case.project
        self._tools = case.tools
        self._lines = ManifestLines(case.project.root)

    def outcome(self) -> Explanation:
        verdict, question = self._case.verdict, self._case.question
        if absent := self._absent():
            return Explanation(LockState.UNVERIFIABLE, absent)
        if verdict.state is LockState.MISSING:
            what, why = "uv.lock is missing", "the project's packages are not pinned"
            # A file that is not there can carry no annotation.
            finding = self._finding(Cause.MISSING, what, why, path=self._project.root / "pyproject.toml")
            return Explanation(LockState.MISSING, (finding,))
        lock = self._read(verdict)
        if isinstance(lock, Finding):
            return Explanation(LockState.UNREADABLE, (lock,))
        return self._by_a_variable(question, verdict) or self._explained(question, verdict, lock)

    def _ask(self, question: LockQuestion) -> LockVerdict:
        return self._tools.uv.lock_state(self._project, question)

    # the reasons that are no difference

    def _absent(self) -> tuple[Finding, ...]:
        """A finding for what git tracks of this workspace and has not put on disk, the lock itself among it."""
        where, git = self._tools.host.folder, self._tools.git
        return tuple(
            self._finding(Cause.ABSENT, group.what, group.why, fix=group.fix, path=group.near)
            for group in absent_groups(self._project, git, where)
        )

    def _read(self, verdict: LockVerdict) -> Lockfile | Finding:
        """The lock; or why it, or a manifest, cannot be read, by what uv says and by our own reading."""
        if verdict.state is LockState.UNREADABLE and PurePath(verdict.file).name != "uv.lock":
            return self._unreadable_manifest(verdict)
        file = self._from_here("uv.lock")
        what = "uv.lock cannot be read"
        try:
            lock = read_lockfile(self._project.lock.read_bytes())
        except OSError as error:
            return self._finding(Cause.UNREADABLE, what, error.strerror or str(error), fix=self._restored(file))
        except NotALock as error:
            if verdict.cause is Cause.FORMAT:
                anew = f"a newer uv, or rm {file} && {self._uv_lock}"
                return self._finding(Cause.FORMAT, what, str(error), fix=anew, line=error.line)
            cause = Cause.CONFLICT if "conflict markers" in str(error) else Cause.UNREADABLE
            return self._finding(cause, what, str(error), fix=self._restored(file), line=error.line)
        if verdict.state is LockState.UNREADABLE:
            fix = self._restored(file)
            if said := too_old_to_read(self._project, self._tools, self._case.question, verdict):
                return self._finding(Cause.FORMAT, said[0], said[1], fix=NEWER, line=verdict.line)
            return self._finding(Cause.UNREADABLE, what, verdict.complaint, fix=fix, line=verdict.line)
        return lock

    def _restored(self, file: str) -> str:
        """The command that brings back the newest lock that can be read, and makes it fresh; a new one without any."""
        lock = self._project.lock
        broken = lock.read_bytes() if lock.is_file() else b""
        version = self._tools.git.restore_argv(lock, lambda data: data != broken and _is_lock(data))
        if version is None:
            return f"rm -f {file} && {self._uv_lock}"
        checkout = " ".join(("git checkout", *version, "--", file))
        unmerged = version[:1] in (("--ours",), ("--theirs",))
        return " && ".join((checkout, self._uv_lock, *((f"git add {file}",) if unmerged else ())))

    def _unreadable_manifest(self, verdict: LockVerdict) -> Finding:
        fault = manifest_fault(verdict, self._project, self._uv_lock)
        if fault is not None:
            cause = verdict.cause or Cause.UNREADABLE
            return self._finding(cause, fault.what, fault.why, fix=fault.fix, path=fault.path, line=fault.line)
        path = self._project.folder / verdict.file
        if path.suffix == ".toml":
            read_manifest(path)  # what is not even TOML
        file, line = path.name, verdict.line
        if verdict.cause is Cause.MEMBER:
            path = self._project.root / file
            line = self._lines.at(ManifestPlace(file, ("tool", "uv", "workspace", "members")))
        elif verdict.cause is Cause.SOURCE:
            name = re.search(r"Failed to parse entry: `([^`]+)`", verdict.words)
            keys = ("tool", "uv", "sources", name[1] if name else "")
            line = ManifestLines(path.parent).at(ManifestPlace(file, keys))
        what, fix = f"{file} cannot be used", f"correct line {line} of {file}"
        cause = verdict.cause or Cause.UNREADABLE
        return self._finding(cause, what, verdict.complaint, fix=fix, path=path, line=line)

    def _by_a_variable(self, question: LockQuestion, verdict: LockVerdict) -> Explanation | None:
        """Where something from outside alone makes the lock look stale; None where it is for another reason."""
        uv = self._tools.uv
        aside = uv.set_aside(respect_env=False) if question.respect_env else ()
        files = uv.machine.resolution_keys(self._project, modes=question.respect_env, indexes=True)
        indexes = uv.outside_indexes(self._project)
        suspects = frozenset(aside) | indexes | frozenset(map(str, files))

        def fresh(without: frozenset[str]) -> bool:
            asked = replace(question, without=without)
            return self._ask(asked).state is LockState.FRESH

        if not suspects or not fresh(suspects):
            return None
        guilty = [name for name in sorted(suspects) if fresh(frozenset({name}))] or sorted(suspects)
        names = ", ".join(f"`{name}`" for name in guilty)
        make = "makes" if len(guilty) == 1 else "make"
        what = f"{names} {make} uv.lock look out of date"
        fix = without_these(guilty, {str(path): keys for path, keys in files.items()})
        if set(guilty) <= indexes and not question.respect_env:
            why = "without it the lock is fresh; it was made for another index"
            notice = self._finding(Cause.ENVIRONMENT, what, why, fix=fix)
            return Explanation(LockState.FRESH, (replace(notice, severity=Severity.NOTICE),))
        why = f"without it the lock is fresh{f'; uv says: {verdict.again}' if verdict.again else ''}"
        return Explanation(LockState.STALE, (self._finding(Cause.ENVIRONMENT, what, why, fix=fix),))

    # differences

    def _explained(self, question: LockQuestion, verdict: LockVerdict, lock: Lockfile) -> Explanation:
        workspace = read_workspace(self._project, lock)
        final = self._with_changes(question, verdict)
        if final.state is LockState.FRESH:
            return Explanation(LockState.FRESH, ())
        silent = final.state is LockState.UNVERIFIABLE
        unsolvable = final.state is LockState.UNSOLVABLE
        if (unsolvable or silent) and (faults := index_faults(workspace)):
            return Explanation(LockState.UNREADABLE, tuple(self._at_their_lines(faults, self._correct)))
        if unsolvable:
            return Explanation(LockState.UNSOLVABLE, (self._unsolvable(final, workspace),))
        if silent and (wrong := tuple(self._at_their_lines(not_requirements(workspace), self._correct))):
            return Explanation(LockState.UNREADABLE, wrong)
        again = verdict.again or final.again
        findings = list(self._at_their_lines(differences(lock, workspace, reason=again)))
        if not findings and silent:
            return Explanation(LockState.UNVERIFIABLE, (self._unverifiable(final),))
        if not findings:
            why = f"uv says: {again}" if again else "uv would write a different lock"
            findings.append(self._finding(Cause.UNKNOWN, "uv.lock is out of date", why))
        findings[0] = replace(findings[0], why="; ".join(filter(None, (findings[0].why, _shown(final.changes)))))
        return Explanation(LockState.STALE, (*findings, *self._refused(final)), final.changes)

    def _with_changes(self, question: LockQuestion, verdict: LockVerdict) -> LockVerdict:
        """The verdict with what would change: by the network if there is one, else by what uv remembers of it."""
        if not self._case.offline:
            online = self._ask(replace(question, offline=False, changes=True))
            if online.state is not LockState.UNVERIFIABLE or verdict.state is LockState.UNVERIFIABLE:
                return online
            if online.cause is Cause.CREDENTIALS:
                return online
        if verdict.state is LockState.STALE:
            return self._ask(replace(question, changes=True))
        return verdict

    def _at_their_lines(self, found: Iterable[Difference], fix: str = "") -> Iterator[Finding]:
        for one in found:
            path = self._project.root / one.place.file
            line = self._lines.at(one.place)
            yield self._finding(one.cause, one.what, one.why, fix=fix, path=path, line=line)

    def _unsolvable(self, verdict: LockVerdict, workspace: Workspace) -> Finding:
        place = blamed_place(verdict.words, workspace) or ManifestPlace("pyproject.toml", ("project", "dependencies"))
        change = "change the requirement"
        if missing := not_found(verdict.words, workspace):
            name, index = missing
            change = f"correct `{name}`, or the address of the index at line {self._lines.at(index)} of {index.file}"
        return self._finding(
            Cause.UNSOLVABLE,
            "the requirements have no solution",
            verdict.complaint,
            fix=f"{change}, then `{self._uv_lock}`",
            path=self._project.root / place.file,
            line=self._lines.at(place),
        )

    def _unverifiable(self, verdict: LockVerdict) -> Finding:
        match verdict.cause:
            case Cause.INTERPRETER:
                what = "uv.lock cannot be checked without a Python that the project allows"
                fix = local("uv python install", "put a step with actions/setup-python before this one")
            case Cause.CREDENTIALS if (refusal := self._refusal(verdict)) is not None:
                what = f"uv.lock cannot be checked without credentials for `{refusal.address}`"
                return self._finding(verdict.cause, what, refusal.why, fix=refusal.fix)
            case Cause.NETWORK:
                what = "uv.lock cannot be checked without a network"
                fix = f"{self._uv_lock} --check, where there is one"
            case Cause.BUILD:
                what = "uv.lock cannot be checked without a build"
                fix = Wording(f"{self._uv_lock} --check, where its code may run; or ", option("builds", "allow"))
                whose = " for a pull request from a fork" if self._tools.host.untrusted_event else ""
                why = f"{verdict.complaint}, and builds are refused{whose}"
                return self._finding(verdict.cause, what, why, fix=fix)
            case _:
                raise ToolFailed(what="`uv lock` failed", why=verdict.complaint)
        return self._finding(verdict.cause, what, verdict.complaint, fix=fix)

    def _refusal(self, verdict: LockVerdict) -> Refusal | None:
        return refusal_in(verdict.words, self._project, self._tools.host.variables)

    def _refused(self, verdict: LockVerdict) -> Iterator[Finding]:
        """Beside a difference: the lock cannot be written here either."""
        if verdict.cause is Cause.CREDENTIALS and (refusal := self._refusal(verdict)) is not None:
            what = f"`{self._uv_lock}` has no credentials for `{refusal.address}`"
            yield self._finding(Cause.CREDENTIALS, what, refusal.why, fix=refusal.fix)

    # how it is said

    @property
    def _uv_lock(self) -> str:
        """The command that writes the lock, from where the caller stands."""
        return self._project.lock_command(self._tools.host.folder)

    @property
    def _correct(self) -> str:
        return f"correct it, then `{self._uv_lock}`"

    def _from_here(self, file: str) -> str:
        return shlex.quote(path_from(self._tools.host.folder, self._project.root / file))

    def _finding(  # noqa: PLR0913  # the parts of a finding
        self, cause: Cause, what: str, why: str, *, fix: str = "", path: Path | None = None, line: int = 1
    ) -> Finding:
        path = path or self._project.lock
        return Finding(rule=f"lock-{cause.value}", what=what, why=why, fix=fix or self._uv_lock, path=path, line=line)


def _is_lock(data: bytes) -> bool:
    try:
        read_lockfile(data)
    except NotALock:
        return False
    return True


def _shown(changes: tuple[str, ...]) -> str:
    if not changes:
        return ""
    more = len(changes) - _SHOWN
    first = (f"{change[0].lower()}{change[1:]}" for change in changes[:_SHOWN])
    return f"`uv lock` would {', '.join((*first, *((f'and {more} more',) if more > 0 else ())))}"
