"""Parses uv's messages; its exit codes 1 and 2 have many meanings."""

import re
from dataclasses import dataclass
from enum import Enum
from pathlib import PurePath

from ...command.errors import BadInput, ToolFailed
from ...core.freshness.causes import Cause
from ..system.process import Completed
from .certificates import distrusts
from .index_logins import REFUSALS


class LockState(Enum):
    """What can be said of a lock; `unverifiable` is that nothing can: no network, no interpreter, a broken build."""

    FRESH = "fresh"
    STALE = "stale"
    MISSING = "missing"
    UNSOLVABLE = "unsolvable"
    UNREADABLE = "unreadable"
    UNVERIFIABLE = "unverifiable"


@dataclass(frozen=True, kw_only=True, slots=True)
class LockVerdict:
    """
    State of a lock, and the file and line (1-based) that uv points to, if any.

    `again` is why it would not take the lock as it is, `complaint` why it gave up; `changes` is what locking would do,
    one line each, where that was asked. `words` is all that it said, `program` the uv that said it.
    """

    state: LockState
    cause: Cause | None = None
    again: str = ""
    complaint: str = ""
    line: int = 1
    file: str = "uv.lock"
    changes: tuple[str, ...] = ()
    words: str = ""
    program: str = ""


# A contract test holds each of these. The first that fits is the answer: a package that could not be looked at is
# also one without a solution, and a Python that could not be downloaded also lacks a network.
_SAYS: tuple[tuple[str, LockState, Cause], ...] = (
    (r"Unable to find lockfile", LockState.MISSING, Cause.MISSING),
    (r"needs to be updated", LockState.STALE, Cause.UNKNOWN),
    (r"unsupported schema version", LockState.UNREADABLE, Cause.FORMAT),
    (r"^error: (Failed to parse|failed to read from file)", LockState.UNREADABLE, Cause.UNREADABLE),
    (r"^error: Workspace member .* is missing", LockState.UNREADABLE, Cause.MEMBER),
    (r"^error: (Two workspace members are both named|No `project` table found in)", LockState.UNREADABLE, Cause.MEMBER),
    (r"^error: The project is marked as unmanaged", LockState.UNREADABLE, Cause.UNMANAGED),
    (r"^error: Project `[^`]+` has malformed dependency groups", LockState.UNREADABLE, Cause.GROUP),
    (r"Distribution not found at: file:|does not appear to be a Python project", LockState.UNREADABLE, Cause.SOURCE),
    (r"^  cause: Failed to parse entry: `", LockState.UNREADABLE, Cause.SOURCE),
    (
        r"No interpreter found|^error: Failed to inspect Python|incompatible with the project's Python requirement",
        LockState.UNVERIFIABLE,
        Cause.INTERPRETER,
    ),
    (REFUSALS, LockState.UNVERIFIABLE, Cause.CREDENTIALS),
    (
        r"network was disabled|connectivity is disabled|Failed to fetch|Request failed after|Git operation failed",
        LockState.UNVERIFIABLE,
        Cause.NETWORK,
    ),
    (r"No solution found", LockState.UNSOLVABLE, Cause.UNSOLVABLE),
)
_IN_MANIFEST = frozenset({Cause.MEMBER, Cause.SOURCE, Cause.UNMANAGED, Cause.GROUP})
_LINES = re.MULTILINE
_SHOWN = 10
_REFUSED = "Required uv version"
_RESOLVED = re.compile(r"^Resolved (\d+ packages? )?in ", _LINES)
_CHANGE = re.compile(r"(Add|Update|Remove) ")
_APART = re.compile(r"are incompatible with the (?:declared )?conflicts: \{([^}]*)\}")
NOT_IN_LOCK = r"(Group|Extra|Package) `[^`]+` (is not|not found)|not found in|does not have a member"


def verdict_in(done: Completed) -> LockVerdict | None:
    """
    The verdict of a question about the lock; None where it is none of the known ones.

    Only what says that it resolved is believed when it ends well: a program that does nothing ends well too.
    """
    if done.code == 0:
        return _well(done.stderr)
    if _REFUSED in done.stderr:
        return None
    for words, state, cause in _SAYS:
        if re.search(words, done.stderr, _LINES):
            return _verdict(state, cause, done.stderr)
    return None


def unknown(done: Completed) -> LockVerdict:
    """The verdict where uv gave none of the answers we know: nothing can be told, and this is what it said."""
    return LockVerdict(
        state=LockState.UNVERIFIABLE,
        cause=Cause.UNKNOWN,
        again=_again(done.stderr),
        complaint=complaint(done),
        words=done.stderr,
    )


def _well(stderr: str) -> LockVerdict | None:
    """Fresh, or what a dry run would change; a lock that was just written is fresh, and what it `Added` no change."""
    if not _RESOLVED.search(stderr):
        return None
    changes = tuple(line for line in stderr.splitlines() if _CHANGE.match(line))
    if changes or re.search(r"^Lockfile changes detected", stderr, _LINES):
        again = _again(stderr)
        return LockVerdict(state=LockState.STALE, cause=Cause.UNKNOWN, again=again, changes=changes, words=stderr)
    return LockVerdict(state=LockState.FRESH, words=stderr)


def _verdict(state: LockState, cause: Cause, stderr: str) -> LockVerdict:
    line = re.search(r"TOML parse error at line (\d+)", stderr)
    in_manifest = state is LockState.UNSOLVABLE or cause in _IN_MANIFEST
    named = re.search(r"^error: (?:Failed to parse:?|failed to read from file) `?([^`\n]+?)`?(?::|$)", stderr, _LINES)
    file = named[1] if named and cause is Cause.UNREADABLE else "pyproject.toml" if in_manifest else "uv.lock"
    return LockVerdict(
        state=state,
        cause=cause,
        again=_again(stderr),
        complaint=_complaint(stderr),
        line=int(line[1]) if line else 1,
        file=PurePath(file).as_posix(),
        words=stderr,
    )


def _again(stderr: str) -> str:
    again = r"^(?:DEBUG )?(?:Resolving despite|Ignoring) existing lockfile due to (.+)$"
    found = re.search(again, stderr, _LINES)
    return found[1].rstrip(":") if found else ""


def _complaint(stderr: str) -> str:
    """uv's error and the first cause below it; of TOML that it cannot read, what it expected there."""
    error = re.search(r"^error: (.+)$", stderr, _LINES)
    causes = re.findall(r"^\s+(?:cause|Caused by|╰─▶|├─▶):? ?(.+)$", stderr, _LINES)
    told = [error[1].rstrip(".")] if error else []
    if causes and causes[0].startswith("TOML parse error"):
        return [line.strip() for line in stderr.splitlines() if line.strip()][-1]
    return ": ".join((*told, *(cause.strip() for cause in causes[:1])))


def complaint(done: Completed) -> str:
    """uv's error and its cause, in one line."""
    return _complaint(done.stderr) or done.last_line


class HashesMissing(ToolFailed):
    """A pylock.toml has a hash of every file; the lock lacks some, and their files could not be fetched."""


def refused_selection(done: Completed) -> BadInput | None:
    """The error for a selection that the lock cannot serve; None where uv failed for another reason."""
    if re.search(NOT_IN_LOCK, done.stderr):
        return BadInput(what="the selection is not in the lock", why=complaint(done))
    if apart := _APART.search(done.stderr):
        why = f"{apart[1]} are declared as `conflicts` in [tool.uv]"
        return BadInput(what="the selection cannot be served together", why=why, fix="select one of them")
    return None


def drift_in(done: Completed) -> str:
    """What `uv sync --check` found: the packages that differ, `+` to be installed and `-` to be removed."""
    changes = [line.strip() for line in done.stderr.splitlines() if re.match(r" [-+~] ", line)]
    more = (f"and {len(changes) - _SHOWN} more",) if len(changes) > _SHOWN else ()
    return ", ".join((*changes[:_SHOWN], *more)) or complaint(done)


def lacks_a_flag(done: Completed) -> str:
    """The flag that a uv does not know, because it is too old; empty where it knows all."""
    found = re.search(r"unexpected argument '(-[^']+)' found", done.stderr)
    return found[1] if found and done.code != 0 else ""


def failed(what: str, done: Completed) -> ToolFailed:
    """The error for a uv command that gave none of the answers we know."""
    if distrusts(done):
        why = f"{complaint(done).partition(': ')[2] or complaint(done)}: its certificate is not trusted"
        fix = "set SSL_CERT_FILE to a file with the certificates of your network"
        return ToolFailed(what=f"`{what}` failed", why=why, fix=fix)
    return ToolFailed(what=f"`{what}` failed", why=complaint(done))
