"""What do uv's words mean? It answers 1 and 2 for many things; only what it says tells them apart."""

import re
from dataclasses import dataclass
from enum import Enum

from ..errors import ToolFailed
from .process import Completed


class LockState(Enum):
    """What can be said of a lock."""

    FRESH = "fresh"
    STALE = "stale"
    MISSING = "missing"
    UNSOLVABLE = "unsolvable"
    UNREADABLE = "unreadable"


@dataclass(frozen=True, kw_only=True, slots=True)
class LockVerdict:
    """State of a lock, the reason in uv's words, and the line (1-based) it points to, if any."""

    state: LockState
    reason: str = ""
    line: int = 1
    file: str = "uv.lock"


# A contract test holds each of these.
_SAYS = (
    ("Unable to find lockfile", LockState.MISSING),
    ("needs to be updated", LockState.STALE),
    ("No solution found", LockState.UNSOLVABLE),
    ("Failed to parse", LockState.UNREADABLE),
)
# Offline it also says "No solution found", of a package that it merely could not look at.
_NO_NETWORK = "network was disabled"
NOT_IN_LOCK = r"(Group|Extra|Package) `[^`]+` (is not|not found)|not found in|does not have a member"


def verdict_in(stderr: str) -> LockVerdict | None:
    """The verdict that uv's standard error tells, None where it is none of the known ones."""
    for words, state in _SAYS:
        if words in stderr and _NO_NETWORK not in stderr:
            return _verdict(state, stderr)
    return None


def _verdict(state: LockState, stderr: str) -> LockVerdict:
    line = re.search(r"TOML parse error at line (\d+)", stderr)
    lock = (
        "`uv.lock`" in stderr
        or "uv.lock" in stderr.rsplit("Failed to parse", maxsplit=1)[-1].split("\n", maxsplit=1)[0]
    )
    in_lock = state in (LockState.STALE, LockState.MISSING) or (state is LockState.UNREADABLE and lock)
    return LockVerdict(
        state=state,
        reason=_reason(stderr),
        line=int(line[1]) if line else 1,
        file="uv.lock" if in_lock else "pyproject.toml",
    )


def _reason(stderr: str) -> str:
    """Why uv would resolve again, else the causes below its error."""
    if found := re.search(r"^(?:Resolving despite|Ignoring) existing lockfile due to (.+)$", stderr, re.MULTILINE):
        return found[1]
    causes = re.findall(r"^\s+(?:cause|Caused by|╰─▶|├─▶):? ?(.+)$", stderr, re.MULTILINE)
    return causes[0].strip() if causes else ""


def complaint(done: Completed) -> str:
    """uv's error and its cause, in one line."""
    found = re.search(r"^error: (.+)$", done.stderr, re.MULTILINE)
    parts = [found[1].rstrip(".")] if found else [done.last_line]
    if reason := _reason(done.stderr):
        parts.append(reason)
    return ": ".join(parts)


def failed(what: str, done: Completed) -> ToolFailed:
    """The error for a uv command that gave none of the answers we know."""
    return ToolFailed(what=f"`{what}` failed", why=complaint(done))
