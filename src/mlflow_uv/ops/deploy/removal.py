"""Waits until what was deleted on a target is gone: a platform accepts a deletion before it carries it out."""

from collections.abc import Callable

from ...command.errors import ToolFailed
from ...tools.toolbox import Tools
from .target import NOT_DEPLOYED, DeployedVersion, DeploymentOptions, DeploymentTarget, Remains

_POLL_S = 1.0


class StillThere(ToolFailed):
    """A target accepted a deletion and did not carry it out; what runs is not affected."""


def require_gone(options: DeploymentOptions, left: Callable[[], tuple[str, ...]], tools: Tools) -> None:
    """
    Wait until nothing of what was deleted is left; `left` looks for it, and may continue the deletion.

    Raises StillThere after the deadline of the deployment.
    """
    until, shown = tools.clock.now_s() + options.deadline_s, ""
    while parts := ", ".join(left()):
        if tools.clock.now_s() >= until:
            raise StillThere(
                what=f"{parts} is still there after it was deleted",
                why=f"the target of `{options.name}` accepted the deletion {options.deadline_s:.0f} s ago",
                fix="run it again, and delete it on the target if it stays",
            )
        if parts != shown:
            tools.console.say(f"  waiting until {(shown := parts)} is gone")
        tools.clock.wait(_POLL_S)


def removable(target: DeploymentTarget) -> DeployedVersion:
    """Return what `remove` of a target removes: what runs, or what a run left that was killed after it ended that."""
    seen = target.observe()
    return target.remnants() if isinstance(target, Remains) and seen == NOT_DEPLOYED else seen
