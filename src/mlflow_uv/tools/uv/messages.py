"""Parses uv's messages; its exit codes 1 and 2 have many meanings."""

import re
from enum import Enum
from pathlib import PurePath

from ...command.errors import BadInput, NoSpace, ToolFailed
from ...command.lazy_pattern import lazy_pattern
from ...command.pip_settings import DISTRUST
from ...command.report import first_names
from ...core.freshness.causes import Cause
from ...payloads.messages.lazy_dataclass import lazy_dataclass
from ..system.process import Completed
from .index_logins import REFUSALS
from .lock_check import RESOLVED

_NO_INTERPRETER = r"No interpreter found|^error: Failed to inspect Python"
_PYTHON_DOWNLOAD = "/python-build-standalone/"
_NO_SPACE = "(os error 28)"  # ENOSPC of Linux, as uv writes it
_READ_ONLY = "(os error 30)"  # EROFS


class LockState(Enum):
    """State of a lock; it is unverifiable without a network or an interpreter, or if a build fails."""

    FRESH = "fresh"
    STALE = "stale"
    MISSING = "missing"
    UNSOLVABLE = "unsolvable"
    UNREADABLE = "unreadable"
    UNVERIFIABLE = "unverifiable"


@lazy_dataclass
class LockVerdict:
    """
    State of a lock, and the file and line (1-based) that uv names, if any.

    `again` is uv's reason for resolving again, `complaint` its error. `changes` lists what locking would change, a line
    each, if requested. `words` is the complete output, `program` the uv that wrote it.
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


# A contract test covers each of these. The first match wins: a package whose metadata could not be read also has no
# solution, and a Python that could not be downloaded also lacks a network.
_MISSING, _STALE = r"Unable to find lockfile", r"needs to be updated"
_PATTERNS: tuple[tuple[str, LockState, Cause], ...] = (
    (_MISSING, LockState.MISSING, Cause.MISSING),
    (_STALE, LockState.STALE, Cause.UNKNOWN),
    (r"unsupported schema version", LockState.UNREADABLE, Cause.FORMAT),
    (r"^error: (Failed to parse|failed to read from file)", LockState.UNREADABLE, Cause.UNREADABLE),
    (r"^error: Workspace member .* is missing", LockState.UNREADABLE, Cause.MEMBER),
    (r"^error: (Two workspace members are both named|No `project` table found in)", LockState.UNREADABLE, Cause.MEMBER),
    (r"^error: The project is marked as unmanaged", LockState.UNREADABLE, Cause.UNMANAGED),
    (r"^error: Project `[^`]+` has malformed dependency groups", LockState.UNREADABLE, Cause.GROUP),
    (r"Distribution not found at: file:|does not appear to be a Python project", LockState.UNREADABLE, Cause.SOURCE),
    (r"^  cause: Failed to parse entry: `", LockState.UNREADABLE, Cause.SOURCE),
    (
        rf"{_NO_INTERPRETER}|incompatible with the project's Python requirement",
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
_RESOLVED = lazy_pattern(rf"^{RESOLVED}(\d+ packages? )?in ", _LINES)
_CHANGE = lazy_pattern(r"(Add|Update|Remove) ")
# A file that is not the one of the lock is named as the cause of a failed build, too.
_BUILDING = lazy_pattern(
    r"^error: Failed to build `([\w.-]+)[^\n]*\n(?!  cause: Hash mismatch)(.*?)(?:\n\nhint: |\Z)", _LINES | re.DOTALL
)
_APART = lazy_pattern(r"are incompatible with the (?:declared )?conflicts: \{([^}]*)\}")
NOT_IN_LOCK = r"(Group|Extra|Package) `[^`]+` (is not|not found)|not found in|does not have a member"


def verdict_in(done: Completed) -> LockVerdict | None:
    """
    The verdict in uv's output; None for an unknown one.

    Exit code 0 counts only together with "Resolved": a program that does nothing also exits with 0.
    """
    if done.code == 0:
        return _verdict_of_success(done.stderr)
    if _REFUSED in done.stderr:
        return None
    for words, state, cause in _PATTERNS:
        if re.search(words, done.stderr, _LINES):
            return _verdict(state, cause, done.stderr)
    return None


def unknown(done: Completed) -> LockVerdict:
    """The verdict for unknown output of uv: the lock is unverifiable, and the complaint quotes uv."""
    return LockVerdict(
        state=LockState.UNVERIFIABLE,
        cause=Cause.UNKNOWN,
        again=_again(done.stderr),
        complaint=complaint(done),
        words=done.stderr,
    )


def _verdict_of_success(stderr: str) -> LockVerdict | None:
    """Fresh, or stale with the changes of a dry run; a lock just written is fresh, and its `Added` is no change."""
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
    match = re.search(again, stderr, _LINES)
    return match[1].rstrip(":") if match else ""


def _complaint(stderr: str) -> str:
    """uv's error and the first cause below it; for a TOML error, its last line, which says what was expected."""
    error = re.search(r"^error: (.+)$", stderr, _LINES)
    causes = re.findall(r"^[ \t]+(?:cause|Caused by|╰─▶|├─▶):? ?(.+)$", stderr, _LINES)
    messages = [error[1].rstrip(".")] if error else []
    if causes and causes[0].startswith("TOML parse error"):
        return [line.strip() for line in stderr.splitlines() if line.strip()][-1]
    return ": ".join((*messages, *(cause.strip() for cause in causes[:1])))


def complaint(done: Completed) -> str:
    """uv's error and its cause, in one line."""
    return _complaint(done.stderr) or done.last_line


class HashesMissing(ToolFailed):
    """A pylock.toml requires a hash for every file; the lock lacks some, and the files could not be downloaded."""


class InterpreterMissing(ToolFailed):
    """uv found no Python of the requested version on this machine, and could not download one."""


class SourceNotBuilt(ToolFailed):
    """uv could not build a `package` from its source distribution."""

    def __init__(self, package: str, *, what: str, why: str) -> None:
        super().__init__(what=what, why=why)
        self.package = package


def refused_selection(done: Completed) -> BadInput | None:
    """The error for a selection that is not in the lock or has conflicts; None if uv failed for another reason."""
    if re.search(NOT_IN_LOCK, done.stderr):
        return BadInput(what="the selection is not in the lock", why=complaint(done))
    if apart := _APART.search(done.stderr):
        why = f"{apart[1]} are declared as `conflicts` in [tool.uv]"
        return BadInput(what="the selection cannot be served together", why=why, fix="select one of them")
    return None


def needs_lock(done: Completed) -> bool:
    """Whether uv refused a lock that is missing or stale, which `uv lock` writes."""
    return done.code != 0 and re.search(f"{_MISSING}|{_STALE}", done.stderr) is not None


def drift_in(done: Completed) -> str:
    """What `uv sync --check` found: the packages that differ, `+` to be installed and `-` to be removed."""
    changes = [line.strip() for line in done.stderr.splitlines() if re.match(r" [-+~] ", line)]
    return first_names(changes, most=_SHOWN) or complaint(done)


def unsupported_flag(done: Completed) -> str:
    """The flag that uv rejected, because its version is too old; empty if it rejected none."""
    match = re.search(r"unexpected argument '(-[^']+)' found", done.stderr)
    return match[1] if match and done.code != 0 else ""


def failed(what: str, done: Completed) -> ToolFailed | NoSpace:
    """The error for a failed uv command whose output has no more specific meaning; uv names a full disk last."""
    if _NO_SPACE in done.stderr:
        why = f"{complaint(done)}: No space left on device"
        fix = "free space there, or set UV_CACHE_DIR, MLFLOW_UV_HOME and TMPDIR to a larger disk"
        return NoSpace(what=f"`{what}` found a full disk", why=why, fix=fix)
    if _READ_ONLY in done.stderr:
        fix = "set MLFLOW_UV_HOME, UV_CACHE_DIR and TMPDIR to folders that can be written"
        return ToolFailed(what=f"`{what}` failed", why=complaint(done), fix=fix)
    if certificate_rejected(done):
        why = f"{complaint(done).partition(': ')[2] or complaint(done)}: its certificate is not trusted"
        fix = "set SSL_CERT_FILE to a file with the certificates of your network"
        return ToolFailed(what=f"`{what}` failed", why=why, fix=fix)
    if building := _BUILDING.search(done.stderr):
        printed = [line.strip() for line in building[2].splitlines() if line.startswith("    ") and line.strip()]
        return SourceNotBuilt(building[1], what=f"`{what}` failed", why=": ".join((complaint(done), *printed[-1:])))
    if re.search(_NO_INTERPRETER, done.stderr, _LINES) or _PYTHON_DOWNLOAD in done.stderr:
        return InterpreterMissing(what=f"`{what}` failed", why=complaint(done))
    return ToolFailed(what=f"`{what}` failed", why=complaint(done))


def certificate_rejected(done: Completed) -> bool:
    """Whether uv rejected a certificate."""
    return done.code != 0 and DISTRUST in done.stderr
