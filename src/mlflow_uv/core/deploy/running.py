"""Compares what a deployment is recorded to run with what it runs."""

from ...payloads.messages.deployments import DeploymentEntry
from ..release.chain import LinkCheck, LinkState, compare_link
from .difference import Facts

LINK = "deployment"
PROXIED = "proxy"  # a fact of a target whose requests pass a proxy
RUNNING = "running"


def deployment_checks(entry: DeploymentEntry, facts: Facts) -> tuple[LinkCheck, ...]:
    """Compare the entry of a deployment with the facts of what runs, as checks of a link that is named after it."""
    link = link_of(entry)
    if not facts:
        reason = f"the record says version {entry.version}, and nothing runs"
        return (LinkCheck(link=link, state=LinkState.BROKEN, reason=reason),)
    recorded = {"version": entry.version, "image": entry.image, "state": RUNNING}
    if PROXIED in facts:
        recorded[PROXIED] = RUNNING
    return tuple(
        compare_link(link, recorded=value, observed=facts.get(part, "nothing"), source=f"the target, of its {part},")
        for part, value in recorded.items()
        if value
    )


def image_check(entry: DeploymentEntry, images: tuple[str, ...]) -> LinkCheck | None:
    """The check of a deployment whose image is none of those that the record of its version names; None for another."""
    # A copy in another registry has the same digest.
    digests = {name.rpartition("@")[2] for name in ("", *images)}
    if not images or entry.image.rpartition("@")[2] in digests:
        return None
    reason = f"it runs the image {entry.image}, and the record of version {entry.version} says {images[0]}"
    return LinkCheck(link=link_of(entry), state=LinkState.BROKEN, reason=reason, fix="deploy the version again")


def link_of(entry: DeploymentEntry) -> str:
    """The name of the link."""
    return f"{LINK} {entry.deployment}"


def unverified(entry: DeploymentEntry, *, why: str, fix: str = "") -> LinkCheck:
    """The check of a deployment that cannot be looked at from here."""
    return LinkCheck(link=link_of(entry), state=LinkState.UNVERIFIED, reason=why, fix=fix)
