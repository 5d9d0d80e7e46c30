"""Where does a lock break the rules of its team?"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import PurePath

from packaging.specifiers import SpecifierSet

from ...command.errors import BadInput
from ...command.report import Finding, Severity
from ...command.wording import Wording, local, option, step_call
from ..lock.closure import Installed, selected_roots
from ..lock.lockfile import NotALock, read_lockfile
from ..lock.selection import Selection
from ..lock.served_packages import served_packages
from ..release.commit import History, LastChange
from .policy import SHOWN, LockPolicy, PolicySource
from .rules import Judge

DAY_S = 86_400


@dataclass(frozen=True, kw_only=True, slots=True)
class Unit:
    """Something that is served from a lock: a selection, and the name of its project, None for a virtual root's."""

    selection: Selection
    name: str | None


@dataclass(frozen=True, kw_only=True, slots=True)
class LockUnderPolicy:
    """
    A lock before its judge: the file, its bytes, how one writes it anew (`uv lock`), and what is served from it.

    `whole` says that the policy is about everything in the lock; else it is about what is served. `now_s` counts from
    1970.
    """

    path: PurePath
    data: bytes
    command: str
    units: tuple[Unit, ...]
    whole: bool
    now_s: float


def in_packages(ruling: PolicySource, case: LockUnderPolicy) -> Iterator[Finding]:
    """The rules about packages: indexes, kinds of source, hashes, time of upload, and what is excluded."""
    try:
        lock = read_lockfile(case.data)
    except NotALock as error:
        yield replace(_untold("uv.lock keeps", str(error), ruling), path=case.path, line=error.line)
        return
    policy = ruling.policy
    found: dict[int, Installed] = {}
    about: set[int] = set()
    for unit in case.units:
        try:
            roots = selected_roots(lock, unit.selection, name=unit.name)
            found = {**{one.package.position: one for one in served_packages(lock, roots)}, **found}
            about |= {package.position for package in roots.packages}
        except (BadInput, NotALock) as error:
            if not case.whole or policy.allowed_sources is not None:
                yield _untold("what is served keeps", str(error), ruling)
    about |= found.keys()
    judge = Judge(
        path=case.path,
        data=case.data,
        command=case.command,
        lock=lock,
        packages=tuple(one for one in lock.packages if case.whole or one.position in about),
    )
    if policy.allowed_indexes is not None:
        yield from _weighed("allowed-indexes", judge.indexes(policy.allowed_indexes), policy)
    if policy.allowed_sources is not None:
        yield from _weighed("allowed-sources", judge.sources(policy.allowed_sources, found.values()), policy)
    if policy.require_hashes:
        yield from _weighed("require-hashes", judge.unhashed(), policy)
    if policy.keep_exclude_newer:
        yield from _weighed("keep-exclude-newer", judge.uploaded_late(now_s=case.now_s), policy)
    if policy.excluded:
        yield from _weighed("excluded", judge.excluded(policy.excluded), policy)


def in_uv(ruling: PolicySource, version: str) -> Iterator[Finding]:
    """The rule about the uv that answers; it stands in the manifest."""
    least = ruling.policy.minimum_uv
    if least is None or SpecifierSet(f">={least}").contains(version, prereleases=True):
        return
    finding = Finding(
        rule="policy-minimum-uv",
        what=f"uv {version} is older than {least}",
        why=f"`minimum-uv` in {SHOWN}",
        fix=Wording("uv self update, or ", option("uv", "PATH"), " of a newer one"),
        path=ruling.manifest,
        line=ruling.lines["minimum-uv"],
    )
    yield from _weighed("minimum-uv", iter((finding,)), ruling.policy)


def in_age(
    ruling: PolicySource, lock: PurePath, change: LastChange, *, now_s: float, command: str
) -> Iterator[Finding]:
    """The rule about the lock's age; `now_s` counts from 1970. Where git cannot tell, a notice says what helps."""
    most = ruling.policy.maximum_age_days
    if most is None or change.history is History.UNCOMMITTED:
        return
    days = int((now_s - change.at_s) // DAY_S)
    if change.history is not History.UNKNOWN and days > most:
        least = "at least " if change.history is History.CUT_OFF else ""
        finding = Finding(
            rule="policy-maximum-age-days",
            what=f"uv.lock is {least}{days} day{'' if days == 1 else 's'} old",
            why=f"its last commit is of {_date(change.at_s)}, and `maximum-age-days` in {SHOWN} is {most}",
            fix=f"{command} --upgrade",
            path=lock,
        )
        yield from _weighed("maximum-age-days", iter((finding,)), ruling.policy)
    elif change.history in {History.UNKNOWN, History.CUT_OFF}:
        cut = change.history is History.CUT_OFF
        yield Finding(
            rule="policy-age-unknown",
            severity=Severity.NOTICE,
            what="nobody can tell here how old uv.lock is",
            why=f"the clone is shallow and goes back to {_date(change.at_s)}" if cut else change.reason,
            fix=local("git fetch --unshallow", "`fetch-depth: 0` for actions/checkout")
            if cut
            else "commit uv.lock to git",
            path=lock,
        )


def _untold(what: str, why: str, ruling: PolicySource) -> Finding:
    return Finding(
        rule="policy-unknown",
        what=f"nobody can tell whether {what} {SHOWN}",
        why=why,
        fix=Wording(step_call("check-lock"), " and ", step_call("export"), ", which say more"),
        path=ruling.manifest,
        line=ruling.line,
    )


def _weighed(rule: str, findings: Iterator[Finding], policy: LockPolicy) -> Iterator[Finding]:
    """A rule in `warn` only warns."""
    for finding in findings:
        yield replace(finding, severity=Severity.WARNING) if rule in policy.warn else finding


def _date(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).date().isoformat()
