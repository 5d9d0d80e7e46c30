"""Compares the links of a release record with their sources, and renders the chain in one line."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum

from ...command.errors import ChainBroken
from ...command.wording import joined
from .commit import Commit
from .record import (
    LINKS,
    OPTIONAL,
    AliasLink,
    AnswersLink,
    ImageLink,
    LockLink,
    ModelLink,
    Record,
    RequirementsLink,
    VerificationLink,
    VersionLink,
)


class LinkState(Enum):
    """The result of recomputing a link. `unverified` means that its source could not be read."""

    HOLDS = "holds"
    BROKEN = "broken"
    UNVERIFIED = "unverified"


_COMMIT_DIGITS = 40  # of a digest, at least
_WORST_FIRST = (LinkState.BROKEN, LinkState.UNVERIFIED, LinkState.HOLDS)


@dataclass(frozen=True, kw_only=True, slots=True)
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
        raise ChainBroken(*links, why="; ".join(check.reason for check in broken))
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


def render_chain(record: Record | None, *, broken: tuple[str, ...] = ()) -> str:
    """
    The chain in one line: ✓ for a link that exists, ✗ for a broken one, · for one that does not exist yet.

    A link that many versions never have is left out if it does not exist.
    """
    shown = (link for link in LINKS if link not in OPTIONAL or getattr(record, link, None) is not None)
    links = (f"{_mark(record, link, broken)} {link}{_identity(record, link)}" for link in shown)
    return " ── ".join(links)


def _mark(record: Record | None, link: str, broken: tuple[str, ...]) -> str:
    if link in broken:
        return "✗"
    value = getattr(record, link, None)
    if isinstance(value, AnswersLink) and value.observed is None:
        return "·"  # not compared yet
    if isinstance(value, VerificationLink) and any(link.verdict in ("different", "failed") for link in value.ways):
        return "✗"
    return "✓" if value is not None else "·"


def _identity(record: Record | None, link: str) -> str:
    """The short identity of a link: a commit, digest, version or tag."""
    match getattr(record, link, None):
        case Commit(sha=sha, dirty=dirty):
            return f" {sha[:7]}{'+' if dirty else ''}"
        case LockLink(sha256=digest) | RequirementsLink(sha256=digest) | ModelLink(sha256=digest):
            return f" {digest[:7]}"
        case VersionLink(version=version):
            return f" {version}"
        case ImageLink(kind=kind, tag=tag):
            return f" {tag}" if kind == "image" else " (process)"
        case AliasLink(name=name):
            return f" {name}"
    return ""


def _short(value: str | None) -> str:
    if value is None:
        return "nothing"
    return value.removeprefix("sha256:")[:12] if len(value) >= _COMMIT_DIGITS else value
