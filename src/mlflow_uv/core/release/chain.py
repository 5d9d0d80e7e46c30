"""Does every link hold when it is computed again from its source?"""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum

from ...command.errors import ChainBroken
from ...command.wording import joined
from .commit import Commit
from .record import LINKS, AliasLink, AnswersLink, ImageLink, LockLink, ModelLink, Record, RequirementsLink, VersionLink


class LinkState(Enum):
    """What computing a link again said. `unverified` is not `holds`."""

    HOLDS = "holds"
    BROKEN = "broken"
    UNVERIFIED = "unverified"


_WORST_FIRST = (LinkState.BROKEN, LinkState.UNVERIFIED, LinkState.HOLDS)


@dataclass(frozen=True, kw_only=True, slots=True)
class LinkCheck:
    """One link, computed again; `fix` is what makes it hold or lets it be verified, empty where nothing does."""

    link: str
    state: LinkState
    reason: str = ""
    fix: str = ""


def compared(link: str, *, recorded: str | None, found: str | None, source: str) -> LinkCheck:
    """Compare a recorded value with the one found at its source; not found is unverified."""
    if found is None:
        return LinkCheck(link=link, state=LinkState.UNVERIFIED, reason=f"{source} cannot be read here")
    if recorded == found:
        return LinkCheck(link=link, state=LinkState.HOLDS)
    return LinkCheck(
        link=link,
        state=LinkState.BROKEN,
        reason=f"the record says {_short(recorded)}, {source} says {_short(found)}",
    )


def require(checks: Iterable[LinkCheck]) -> tuple[LinkCheck, ...]:
    """Return the checks, or raise ChainBroken that names every broken link, the first in the chain first."""
    checks = tuple(checks)
    broken = tuple(check for check in checks if check.state is LinkState.BROKEN)
    if broken:
        links = dict.fromkeys(check.link for check in broken)
        raise ChainBroken(*links, why="; ".join(check.reason for check in broken))
    return checks


def gathered(checks: Iterable[LinkCheck]) -> tuple[LinkCheck, ...]:
    """One verdict for each link, in the order of the chain: broken beats unverified, which beats holding."""
    checks = tuple(checks)
    order = (*LINKS, *(check.link for check in checks if check.link not in LINKS))
    found = []
    for link in dict.fromkeys(order):
        about = [check for check in checks if check.link == link]
        worst = next((state for state in _WORST_FIRST if any(check.state is state for check in about)), None)
        if worst is not None:
            reasons = dict.fromkeys(check.reason for check in about if check.state is worst and check.reason)
            fixes = dict.fromkeys(check.fix for check in about if check.state is worst and check.fix)
            found.append(LinkCheck(link=link, state=worst, reason="; ".join(reasons), fix=joined("; ", tuple(fixes))))
    return tuple(found)


def picture(record: Record | None, *, broken: tuple[str, ...] = ()) -> str:
    """The chain in one line: ✓ a link that was made, ✗ one that does not hold, · one that is still to come."""
    links = (f"{_mark(record, link, broken)} {link}{_told(record, link)}" for link in LINKS)
    return " ── ".join(links)


def _mark(record: Record | None, link: str, broken: tuple[str, ...]) -> str:
    if link in broken:
        return "✗"
    made = getattr(record, link, None)
    if isinstance(made, AnswersLink) and made.observed is None:
        return "·"  # expected, and by nobody given yet
    return "✓" if made is not None else "·"


def _told(record: Record | None, link: str) -> str:
    """What a person recognises a link by."""
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
    return value.removeprefix("sha256:")[:12] if len(value) >= 40 else value  # noqa: PLR2004  # digests and commits
