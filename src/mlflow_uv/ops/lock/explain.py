"""Finds the causes why a lock is not fresh, or why that cannot be checked."""

import re
import shlex
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path, PurePath
from typing import NamedTuple

from ...command.errors import ToolFailed
from ...command.report import Finding, Severity, first_names
from ...command.wording import Wording, local, option
from ...core.freshness.causes import Cause, Difference, ManifestPlace
from ...core.freshness.declared_requirements import Workspace
from ...core.freshness.staleness import differences, not_requirements
from ...core.freshness.uv_reasons import blamed_place
from ...core.lock.lockfile import Lockfile, NotALock, is_lock, read_lockfile
from ...payloads.messages.lazy_dataclass import lazy_dataclass
from ...tools.lock_toolbox import LockTools
from ...tools.project.files import Project, path_from, read_manifest
from ...tools.project.manifests import ManifestLines, read_workspace
from ...tools.uv.argv import NEWER
from ...tools.uv.index_logins import Refusal, refusal_in
from ...tools.uv.messages import LockState, LockVerdict
from ...tools.uv.uv import LockRequest
from .index_problems import index_faults, not_found
from .manifest_problems import manifest_fault
from .missing_files import absent_groups
from .settings_problems import ignored_settings, shadowed_settings, too_old_to_read, without_these


@lazy_dataclass
class UnclearVerdict:
    """
    A verdict of uv offline that needs an explanation: the lock is not fresh, or uv ignores settings.

    `offline` forbids another check with the network.
    """

    project: Project
    tools: LockTools
    request: LockRequest
    verdict: LockVerdict
    offline: bool


class Explanation(NamedTuple):
    """The final state, which may be fresh; a finding for each cause; the changes that `uv lock` would make."""

    state: LockState
    findings: tuple[Finding, ...]
    changes: tuple[str, ...] = ()


def explain(case: UnclearVerdict) -> Explanation:
    """Find the causes. Raises Unreadable for a manifest that is not TOML, BadProject, ToolMissing, ToolFailed."""
    if wrong := ignored_settings(case.project, case.tools, case.request, case.verdict):
        return Explanation(LockState.UNREADABLE, wrong)
    shadowed = shadowed_settings(case.project, case.verdict)
    if case.verdict.state is LockState.FRESH:
        return Explanation(LockState.FRESH, shadowed)
    explanation = _Explaining(case).outcome()
    return explanation._replace(findings=(*explanation.findings, *shadowed))


class _Explaining:
    def __init__(self, case: UnclearVerdict) -> None:
        self._case = case
        self._project = case.project
        self._tools = case.tools
        self._lines = ManifestLines(case.project.root)

    def outcome(self) -> Explanation:
        verdict, request = self._case.verdict, self._case.request
        if absent := self._absent():
            return Explanation(LockState.UNVERIFIABLE, absent)
        if verdict.state is LockState.MISSING:
            return Explanation(LockState.MISSING, self._missing(request, verdict))
        lock = self._read(verdict)
        if isinstance(lock, Finding):
            return Explanation(LockState.UNREADABLE, (lock,))
        return self._by_a_variable(request, verdict) or self._explained(request, verdict, lock)

    def _ask(self, request: LockRequest) -> LockVerdict:
        return self._tools.uv.lock_state(self._project, request)

    # causes other than a difference

    def _absent(self) -> tuple[Finding, ...]:
        """Return findings for files of this workspace, or its lock, that git tracks and that are not on disk."""
        where, git = self._tools.host.folder, self._tools.git
        return tuple(
            self._finding(Cause.ABSENT, group.what, group.why, fix=group.fix, path=group.near)
            for group in absent_groups(self._project, git, where)
        )

    def _missing(self, request: LockRequest, verdict: LockVerdict) -> tuple[Finding, ...]:
        """Return the finding of a missing lock, and why uv cannot write one if the requirements have no solution."""
        what, why = "uv.lock is missing", "the project's packages are not pinned"
        # A file that is not there can carry no annotation.
        finding = self._finding(Cause.MISSING, what, why, path=self._project.root / "pyproject.toml")
        final = self._with_changes(request, verdict)
        if final.state is not LockState.UNSOLVABLE:
            return (finding,)
        unsolvable = self._unsolvable(final, read_workspace(self._project, None))
        return (replace(finding, fix=unsolvable.fix), unsolvable)

    def _read(self, verdict: LockVerdict) -> Lockfile | Finding:
        """Return the lock, or a finding if it or a manifest cannot be read, by uv or by this program."""
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
            if message := too_old_to_read(self._project, self._tools, self._case.request, verdict):
                return self._finding(Cause.FORMAT, message[0], message[1], fix=NEWER, line=verdict.line)
            return self._finding(Cause.UNREADABLE, what, verdict.complaint, fix=fix, line=verdict.line)
        return lock

    def _restored(self, file: str) -> str:
        """Return the command that restores and updates the newest readable lock, or creates a new one."""
        lock = self._project.lock
        broken = lock.read_bytes() if lock.is_file() else b""
        version = self._tools.git.restore_argv(lock, lambda data: data != broken and is_lock(data))
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
            read_manifest(path)  # raises Unreadable if it is not TOML
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

    def _by_a_variable(self, request: LockRequest, verdict: LockVerdict) -> Explanation | None:
        """Explain a lock that only variables or files from outside make look stale; None for any other cause."""
        uv = self._tools.uv
        ignored = uv.set_aside(respect_env=False) if request.respect_env else ()
        files = uv.machine.resolution_keys(self._project, modes=request.respect_env, indexes=True)
        indexes = uv.outside_indexes(self._project)
        suspects = frozenset(ignored) | indexes | frozenset(map(str, files))

        def fresh(without: frozenset[str]) -> bool:
            reduced = replace(request, without=without)
            return self._ask(reduced).state is LockState.FRESH

        if not suspects or not fresh(suspects):
            return None
        culprits = [name for name in sorted(suspects) if fresh(frozenset({name}))] or sorted(suspects)
        names = ", ".join(f"`{name}`" for name in culprits)
        make = "makes" if len(culprits) == 1 else "make"
        what = f"{names} {make} uv.lock look out of date"
        fix = without_these(culprits, {str(path): keys for path, keys in files.items()})
        if set(culprits) <= indexes and not request.respect_env:
            why = "without it the lock is fresh; it was made for another index"
            notice = self._finding(Cause.ENVIRONMENT, what, why, fix=fix)
            return Explanation(LockState.FRESH, (replace(notice, severity=Severity.NOTICE),))
        why = f"without it the lock is fresh{f'; uv says: {verdict.again}' if verdict.again else ''}"
        return Explanation(LockState.STALE, (self._finding(Cause.ENVIRONMENT, what, why, fix=fix),))

    # differences

    def _explained(self, request: LockRequest, verdict: LockVerdict, lock: Lockfile) -> Explanation:
        workspace = read_workspace(self._project, lock)
        final = self._with_changes(request, verdict)
        if final.state is LockState.FRESH:
            return Explanation(LockState.FRESH, ())
        unverifiable = final.state is LockState.UNVERIFIABLE
        unsolvable = final.state is LockState.UNSOLVABLE
        if (unsolvable or unverifiable) and (faults := index_faults(workspace)):
            return Explanation(LockState.UNREADABLE, tuple(self._at_their_lines(faults, self._correct)))
        if unsolvable:
            return Explanation(LockState.UNSOLVABLE, (self._unsolvable(final, workspace),))
        if unverifiable and (wrong := tuple(self._at_their_lines(not_requirements(workspace), self._correct))):
            return Explanation(LockState.UNREADABLE, wrong)
        reason = verdict.again or final.again
        findings = list(self._at_their_lines(differences(lock, workspace, reason=reason)))
        if not findings and unverifiable:
            return Explanation(LockState.UNVERIFIABLE, (self._unverifiable(final),))
        if not findings:
            why = f"uv says: {reason}" if reason else "uv would write a different lock"
            findings.append(self._finding(Cause.UNKNOWN, "uv.lock is out of date", why))
        findings[0] = replace(findings[0], why="; ".join(filter(None, (findings[0].why, _shown(final.changes)))))
        return Explanation(LockState.STALE, (*findings, *self._refused(final)), final.changes)

    def _with_changes(self, request: LockRequest, verdict: LockVerdict) -> LockVerdict:
        """Return the verdict with the changes, from the network if possible, else from uv's cache."""
        if not self._case.offline:
            online = self._ask(replace(request, offline=False, changes=True))
            if online.state is not LockState.UNVERIFIABLE or verdict.state is LockState.UNVERIFIABLE:
                return online
            if online.cause is Cause.CREDENTIALS:
                return online
        if verdict.state in (LockState.STALE, LockState.MISSING):
            return self._ask(replace(request, changes=True))
        return verdict

    def _at_their_lines(self, differences_found: Iterable[Difference], fix: str = "") -> Iterator[Finding]:
        for difference in differences_found:
            path = self._project.root / difference.place.file
            line = self._lines.at(difference.place)
            yield self._finding(difference.cause, difference.what, difference.why, fix=fix, path=path, line=line)

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
                suffix = " for a pull request from a fork" if self._tools.host.untrusted_event else ""
                why = f"{verdict.complaint}, and builds are refused{suffix}"
                return self._finding(verdict.cause, what, why, fix=fix)
            case _:
                raise ToolFailed(what="`uv lock` failed", why=verdict.complaint)
        return self._finding(verdict.cause, what, verdict.complaint, fix=fix)

    def _refusal(self, verdict: LockVerdict) -> Refusal | None:
        return refusal_in(verdict.words, self._project, self._tools.host.variables)

    def _refused(self, verdict: LockVerdict) -> Iterator[Finding]:
        """Yield a finding, next to a difference, if the lock cannot be written here for lack of credentials."""
        if verdict.cause is Cause.CREDENTIALS and (refusal := self._refusal(verdict)) is not None:
            what = f"`{self._uv_lock}` has no credentials for `{refusal.address}`"
            yield self._finding(Cause.CREDENTIALS, what, refusal.why, fix=refusal.fix)

    # wording

    @property
    def _uv_lock(self) -> str:
        """The command that writes the lock, from the current folder."""
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


def _shown(changes: tuple[str, ...]) -> str:
    if not changes:
        return ""
    in_sentence = [f"{change[0].lower()}{change[1:]}" for change in changes]
    return f"`uv lock` would {first_names(in_sentence)}"
