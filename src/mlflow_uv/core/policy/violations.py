"""Checks a lock, the uv that reads it and its age against a policy, and yields the violations."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import PurePath

from packaging.specifiers import SpecifierSet

from ...command.errors import BadInput
from ...command.report import Finding, Severity
from ...command.wording import Wording, local, option, step_call
from ...payloads.messages.lazy_dataclass import lazy_dataclass
from ..lock.closure import Installed, selected_roots
from ..lock.lockfile import NotALock, read_lockfile
from ..lock.selection import Selection
from ..lock.served_packages import served_packages
from ..release.commit import History, LastChange
from .policy import SHOWN, LockPolicy
from .rules import PolicyRules
from .table import PolicySource

DAY_S = 86_400


@lazy_dataclass
class ServedUnit:
    """A selection that is served from a lock, and the name of its project; None for a virtual root."""

    selection: Selection
    name: str | None


@lazy_dataclass
class PolicyContext:
    """
    A lock to check: its file and bytes, the command that writes it anew (`uv lock`), and what is served from it.

    If `whole` is true, all packages in the lock are checked, else the served ones. `now_s` is in seconds since 1970.
    """

    path: PurePath
    data: bytes
    command: str
    units: tuple[ServedUnit, ...]
    whole: bool
    now_s: float


def package_violations(source: PolicySource[LockPolicy], context: PolicyContext) -> Iterator[Finding]:
    """Check the rules about packages: indexes, kinds of source, hashes, upload times and excluded packages."""
    try:
        lock = read_lockfile(context.data)
    except NotALock as error:
        yield replace(_unchecked("uv.lock", str(error), source), path=context.path, line=error.line)
        return
    policy = source.policy
    served: dict[int, Installed] = {}
    positions: set[int] = set()
    for unit in context.units:
        try:
            roots = selected_roots(lock, unit.selection, name=unit.name)
            served = {**{installed.package.position: installed for installed in served_packages(lock, roots)}, **served}
            positions |= {package.position for package in roots.packages}
        except (BadInput, NotALock) as error:
            if not context.whole or policy.allowed_sources is not None:
                yield _unchecked("the selection that is served", str(error), source)
    positions |= served.keys()
    rules = PolicyRules(
        path=context.path,
        data=context.data,
        command=context.command,
        lock=lock,
        packages=tuple(package for package in lock.packages if context.whole or package.position in positions),
    )
    if policy.allowed_indexes is not None:
        yield from _with_severity("allowed-indexes", rules.indexes(policy.allowed_indexes), policy)
    if policy.allowed_sources is not None:
        yield from _with_severity("allowed-sources", rules.sources(policy.allowed_sources, served.values()), policy)
    if policy.require_hashes:
        yield from _with_severity("require-hashes", rules.unhashed(), policy)
    if policy.keep_exclude_newer:
        yield from _with_severity("keep-exclude-newer", rules.uploaded_late(now_s=context.now_s), policy)
    if policy.excluded:
        yield from _with_severity("excluded", rules.excluded(policy.excluded), policy)


def uv_violations(source: PolicySource[LockPolicy], version: str) -> Iterator[Finding]:
    """Check `minimum-uv` against the version of uv; the finding is at the rule's line in the manifest."""
    minimum = source.policy.minimum_uv
    if minimum is None or SpecifierSet(f">={minimum}").contains(version, prereleases=True):
        return
    finding = Finding(
        rule="policy-minimum-uv",
        what=f"uv {version} is older than {minimum}",
        why=f"`minimum-uv` in {SHOWN}",
        fix=Wording("uv self update, or ", option("uv", "PATH"), " of a newer one"),
        path=source.manifest,
        line=source.lines["minimum-uv"],
    )
    yield from _with_severity("minimum-uv", iter((finding,)), source.policy)


def age_violations(
    source: PolicySource[LockPolicy], lock: PurePath, change: LastChange, *, now_s: float, command: str
) -> Iterator[Finding]:
    """
    Check `maximum-age-days`. `now_s` is in seconds since 1970.

    If git cannot determine the lock's age, a notice with a fix is yielded instead.
    """
    maximum = source.policy.maximum_age_days
    if maximum is None or change.history is History.UNCOMMITTED:
        return
    days = int((now_s - change.at_s) // DAY_S)
    if change.history is not History.UNKNOWN and days > maximum:
        qualifier = "at least " if change.history is History.CUT_OFF else ""
        finding = Finding(
            rule="policy-maximum-age-days",
            what=f"uv.lock is {qualifier}{days} day{'' if days == 1 else 's'} old",
            why=f"its last commit is of {_date(change.at_s)}, and `maximum-age-days` in {SHOWN} is {maximum}",
            fix=f"{command} --upgrade",
            path=lock,
        )
        yield from _with_severity("maximum-age-days", iter((finding,)), source.policy)
    elif change.history in {History.UNKNOWN, History.CUT_OFF}:
        shallow = change.history is History.CUT_OFF
        yield Finding(
            rule="policy-age-unknown",
            severity=Severity.NOTICE,
            what="the age of uv.lock cannot be determined here",
            why=f"the clone is shallow and goes back to {_date(change.at_s)}" if shallow else change.reason,
            fix=local("git fetch --unshallow", "`fetch-depth: 0` for actions/checkout")
            if shallow
            else "commit uv.lock to git",
            path=lock,
        )


def _unchecked(what: str, why: str, source: PolicySource[LockPolicy]) -> Finding:
    return Finding(
        rule="policy-unknown",
        what=f"{what} cannot be checked against {SHOWN}",
        why=why,
        fix=Wording(step_call("check-lock"), " and ", step_call("export"), ", which give details"),
        path=source.manifest,
        line=source.line,
    )


def _with_severity(rule: str, findings: Iterator[Finding], policy: LockPolicy) -> Iterator[Finding]:
    """Turn the violations of a rule in `warn` into warnings."""
    for finding in findings:
        yield replace(finding, severity=Severity.WARNING) if rule in policy.warn else finding


def _date(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).date().isoformat()
