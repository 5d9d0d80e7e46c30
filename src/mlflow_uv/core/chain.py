"""Does every link hold when it is computed again from its source?"""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum

from ..errors import ChainBroken


class LinkState(Enum):
    """What computing a link again said. `unverified` is not `holds`."""

    HOLDS = "holds"
    BROKEN = "broken"
    UNVERIFIED = "unverified"


@dataclass(frozen=True, kw_only=True, slots=True)
class LinkCheck:
    """One link, computed again."""

    link: str
    state: LinkState
    reason: str = ""


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
        raise ChainBroken(
            what=f"the chain is broken at {', '.join(f'`{check.link}`' for check in broken)}",
            why="; ".join(check.reason for check in broken),
            fix="mlflow-uv release",
        )
    return checks


def _short(value: str | None) -> str:
    if value is None:
        return "nothing"
    return value[:12] if len(value) >= 40 else value  # noqa: PLR2004  # hex digests and commits
