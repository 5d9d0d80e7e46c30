"""Reports the links of a version that were recomputed: findings, a table and a line."""

from collections.abc import Iterable, Iterator, Mapping

from ...command.report import Finding, Severity, Table, TableKind
from ...core.release.chain import LinkCheck, LinkState
from ..image.lookup import names_reused

_MARKS = {LinkState.HOLDS: "✓ holds", LinkState.BROKEN: "✗ broken", LinkState.UNVERIFIED: "? unverified"}


def link_findings(links: tuple[LinkCheck, ...], version: str, *, strict: bool) -> Iterator[Finding]:
    """Yield an error for each broken link; for one that is not verified a warning, an error if `strict`."""
    for link in links:
        if link.state is LinkState.BROKEN:
            what = f"`{link.link}` of {version} does not hold"
            yield Finding(rule="link-broken", what=what, why=link.reason, fix=link.fix)
        else:
            yield from unverified_findings((link,), Severity.ERROR if strict else Severity.WARNING)
    yield from names_reused(links, version)


def unverified_findings(links: Iterable[LinkCheck], severity: Severity) -> Iterator[Finding]:
    """Yield a finding of this severity for each link that is not verified."""
    for link in links:
        if link.state is LinkState.UNVERIFIED:
            yield Finding(
                rule="link-unverified",
                severity=severity,
                what=f"`{link.link}` is not verified here",
                why=link.reason,
                fix=link.fix,
            )


def links_summary(states: Mapping[LinkState, tuple[str, ...]]) -> str:
    """What is broken, else how many links hold and which are not verified."""
    if broken := states[LinkState.BROKEN]:
        return f"broken at {', '.join(broken)}"
    holding = f"{len(states[LinkState.HOLDS])} links hold"
    unverified = states[LinkState.UNVERIFIED]
    return f"{holding}, not verified here: {', '.join(unverified)}" if unverified else holding


def link_table(links: tuple[LinkCheck, ...]) -> Table:
    """Each link with its state and the reason for it."""
    rows = tuple((link.link, _MARKS[link.state], link.reason) for link in links)
    return Table(title="Chain", columns=("Link", "State", "Why"), rows=rows, kind=TableKind.DETAILS)
