"""Compares the links of a release record with their sources, and lists them as the chain of a report."""

from collections.abc import Collection, Iterable, Mapping
from enum import Enum

from ...command.errors import ChainBroken
from ...command.report import ChainLink, Mark
from ...command.wording import joined, step_call
from ...payloads.messages.lazy_dataclass import lazy_dataclass
from .commit import Commit
from .record import (
    LINKS,
    OPTIONAL,
    AliasLink,
    AnswersLink,
    ExportsLink,
    ImageLink,
    LockLink,
    ModelLink,
    Record,
    RequirementsLink,
    SignatureLink,
    VerificationLink,
    VersionLink,
)


class LinkState(Enum):
    """The result of recomputing a link. `unverified` means that its source could not be read."""

    HOLDS = "holds"
    BROKEN = "broken"
    UNVERIFIED = "unverified"


_COMMIT_DIGITS = 40  # of a digest, at least
_MARKS = {LinkState.HOLDS: Mark.HOLDS, LinkState.BROKEN: Mark.BROKEN, LinkState.UNVERIFIED: Mark.UNVERIFIED}
# The link that a step of a release makes or checks.
_STEP_LINKS: Mapping[str, str] = {
    "check-lock": "lock",
    "check-targets": "lock",
    "export": "requirements",
    "log-model": "model",
    "register": "version",
    "build-image": "image",
    "smoke-test": "answers",
    "verify": "verification",
}
SOURCES = ("commit", "lock")  # links that preflight checks, each under its name, before there is a record
EXPORTED = ("selection", "requirements")  # links that export computes before there is a record
_WORST_FIRST = (LinkState.BROKEN, LinkState.UNVERIFIED, LinkState.HOLDS)


@lazy_dataclass
class LinkCheck:
    """The check of one link; `fix` repairs it or makes it verifiable, and is empty where nothing does."""

    link: str
    state: LinkState
    reason: str = ""
    fix: str = ""


def compare_link(link: str, *, recorded: str | None, observed: str | None, source: str) -> LinkCheck:
    """Compare a recorded value with the one at its source; None as `observed` is unverified."""
    if observed is None:
        return LinkCheck(link=link, state=LinkState.UNVERIFIED, reason=f"{source} cannot be read here")
    if recorded == observed:
        return LinkCheck(link=link, state=LinkState.HOLDS)
    return LinkCheck(
        link=link,
        state=LinkState.BROKEN,
        reason=f"the record says {_short(recorded)}, {source} says {_short(observed)}",
    )


def require_unbroken(checks: Iterable[LinkCheck]) -> tuple[LinkCheck, ...]:
    """Return the checks. Raises ChainBroken with every broken link, in the order of the checks."""
    checks = tuple(checks)
    broken = tuple(check for check in checks if check.state is LinkState.BROKEN)
    if broken:
        links = dict.fromkeys(check.link for check in broken)
        fixes = tuple(dict.fromkeys(check.fix for check in broken if check.fix))
        why = "; ".join(check.reason for check in broken)
        raise ChainBroken(*links, why=why, fix=joined("; ", fixes) if fixes else step_call("release"))
    return checks


def merge_checks(checks: Iterable[LinkCheck]) -> tuple[LinkCheck, ...]:
    """Merge the checks of each link, in the order of the chain; the worst state counts."""
    checks = tuple(checks)
    order = (*LINKS, *(check.link for check in checks if check.link not in LINKS))
    merged = []
    for link in dict.fromkeys(order):
        checks_of_link = [check for check in checks if check.link == link]
        worst = next((state for state in _WORST_FIRST if any(check.state is state for check in checks_of_link)), None)
        if worst is not None:
            reasons = dict.fromkeys(check.reason for check in checks_of_link if check.state is worst and check.reason)
            fixes = dict.fromkeys(check.fix for check in checks_of_link if check.state is worst and check.fix)
            merged.append(LinkCheck(link=link, state=worst, reason="; ".join(reasons), fix=joined("; ", tuple(fixes))))
    return tuple(merged)


def stopped_at(step: str, named: Iterable[str] = ()) -> tuple[str, ...]:
    """The links at which a release stopped: those that the error or the failed check names, else that of the step."""
    return tuple(link for link in named if link in LINKS) or (_STEP_LINKS[step],)


def chain_links(
    record: Record | None, *, broken: Collection[str] = (), proven: Collection[str] = ()
) -> tuple[ChainLink, ...]:
    """
    The links that a release made so far, in order; those that do not exist yet are missing.

    `broken` are those at which it stopped, `proven` those that it checked before it wrote a record. A link that many
    versions never have is left out if it does not exist, unless it is broken.
    """
    return tuple(
        ChainLink(name=link, mark=_mark(record, link, broken, proven), identity=_identity(record, link))
        for link in LINKS
        if link not in OPTIONAL or link in broken or getattr(record, link, None) is not None
    )


def checked_links(record: Record | None, checks: Iterable[LinkCheck]) -> tuple[ChainLink, ...]:
    """The links that were recomputed, in the order of the checks."""
    return tuple(
        ChainLink(name=check.link, mark=_MARKS[check.state], identity=_identity(record, check.link)) for check in checks
    )


def _mark(record: Record | None, link: str, broken: Collection[str], proven: Collection[str]) -> Mark:
    if link in broken:
        return Mark.BROKEN
    value = getattr(record, link, None)
    if isinstance(value, AnswersLink) and value.observed is None:
        return Mark.MISSING  # not compared yet
    if isinstance(value, SignatureLink):
        return Mark.UNVERIFIED  # the record only names the signer
    if isinstance(value, VerificationLink) and any(link.verdict in ("different", "failed") for link in value.ways):
        return Mark.BROKEN
    return Mark.HOLDS if value is not None or link in proven else Mark.MISSING


def _identity(record: Record | None, link: str) -> str:
    """The short identity of a link: a commit, digest, version or tag."""
    match getattr(record, link, None):
        case Commit(sha=sha, dirty=dirty):
            return f"{sha[:7]}{'+' if dirty else ''}"
        case LockLink(sha256=digest) | RequirementsLink(sha256=digest) | ModelLink(sha256=digest):
            return digest[:7]
        case VersionLink(version=version):
            return version
        case ImageLink(kind=kind, tag=tag):
            return tag if kind == "image" else "(process)"
        case AliasLink(name=name):
            return name
        case ExportsLink(models=models):
            return " ".join(model.format for model in models)
    return ""


def _short(value: str | None) -> str:
    if value is None:
        return "nothing"
    return value.removeprefix("sha256:")[:12] if len(value) >= _COMMIT_DIGITS else value
