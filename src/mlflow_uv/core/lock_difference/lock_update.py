"""
Reads the changes that `uv lock` would make to a lock, and writes them as a patch and as suggestions of GitHub.

The changes are kept as hunks of a unified diff, so that untrusted text becomes a patch of one lock and of
nothing else.
"""

import posixpath
import re
import shlex
from collections.abc import Iterator, Sequence
from itertools import groupby

from ...command.lazy_pattern import lazy_pattern
from ...payloads.messages.lazy_dataclass import lazy_dataclass
from ..security.control_characters import visible, visible_columns
from ..security.markdown import suggestion_block

MARKER = "<!-- mlflow-uv: update of a lock -->"
MOST_LINES = 400  # of one update; a longer one is only named
LONGEST_LINE = 1_000
MOST_SUGGESTIONS = 10  # of a pull request, each of which GitHub announces by mail
LOCK_NAME = "uv.lock"
_LAST_LINE = 9_999_999
_HEADER = lazy_pattern(r"@@ -(\d{1,7})(?:,\d{1,7})? \+\d{1,7}(?:,\d{1,7})? @@.*")
_KINDS = frozenset(" +-")
_PATH = lazy_pattern(r"(?!/)[^\\\"\x00-\x1f\x7f]{1,1000}")


@lazy_dataclass
class LockHunk:
    """Neighbouring lines of a lock from `first_line` on; each begins with a space, `-` or `+`, as in a unified diff."""

    first_line: int
    lines: tuple[str, ...]

    @property
    def before(self) -> tuple[str, ...]:
        """The lines of the lock as it is."""
        return tuple(line[1:] for line in self.lines if line[0] != "+")


@lazy_dataclass
class LockUpdate:
    """A lock that is out of date, and what `uv lock` would change; without hunks only `uv lock` itself updates it."""

    path: str
    hunks: tuple[LockHunk, ...] = ()

    @property
    def command(self) -> str:
        """The command that updates the lock, to be run at the top of the repository."""
        folder = posixpath.dirname(self.path)
        return f"uv lock --project {shlex.quote(folder)}" if folder else "uv lock"


@lazy_dataclass
class Suggestion:
    """Lines of a file, the first and the last of them, and what a reviewer can put in their place with one click."""

    path: str
    first_line: int
    last_line: int
    lines: tuple[str, ...]

    @property
    def body(self) -> str:
        """The text of the comment, which begins with MARKER."""
        about = "`uv lock` writes these lines. They come from the job of this pull request: review them as its changes."
        return f"{MARKER}\n{about}\n\n{suggestion_block(self.lines)}"


def updates_of_patch(data: bytes) -> tuple[LockUpdate, ...]:
    """The updates in a patch of check-lock; one that is new, too long or not plain text has no hunks."""
    text = data.decode(errors="replace")
    return tuple(update for part in re.split(r"(?m)^diff --git .*\n", text)[1:] if (update := _update(part)))


def is_written(update: LockUpdate) -> bool:
    """Whether an update has the shape that `updates_of_patch` returns, whoever wrote it."""
    return _is_lock_path(update.path) and _are_plain(update.hunks)


def fits(update: LockUpdate, lock: bytes) -> bool:
    """Whether the lines that an update replaces are those of a lock, at the same places."""
    lines = lock.decode(errors="replace").split("\n")
    return all(
        hunk.before == tuple(lines[hunk.first_line - 1 : hunk.first_line - 1 + len(hunk.before)])
        for hunk in update.hunks
    )


def apply_command(update: LockUpdate) -> str:
    """A command that applies the hunks of an update, to be run at the top of the repository."""
    return "\n".join(("git apply <<'PATCH'", *_patch_lines(update), "PATCH", ""))


def suggestions_of(update: LockUpdate) -> tuple[Suggestion, ...]:
    """One suggestion for each run of changed lines."""
    return tuple(suggestion for hunk in update.hunks for suggestion in _of_hunk(update.path, hunk))


def _update(part: str) -> LockUpdate | None:
    """The update of one file of a patch, None for a file that is no lock."""
    head, *hunks = re.split(r"(?m)^(?=@@ )", part)
    name = re.search(r"(?m)^\+\+\+ (.+)$", head)
    path = _unquoted(name[1].removesuffix("\t")).removeprefix("b/") if name else ""
    if not _is_lock_path(path):
        return None
    plain = tuple(map(_hunk, hunks)) if "\n--- /dev/null\n" not in f"\n{head}" else ()
    whole = tuple(hunk for hunk in plain if hunk is not None)
    return LockUpdate(path=path, hunks=whole if len(whole) == len(plain) and _are_plain(whole) else ())


def _unquoted(name: str) -> str:
    r"""The path that git quotes as `"b/\303\274/uv.lock"`."""
    if not name.startswith('"'):
        return name
    return name[1:-1].encode("ascii", "replace").decode("unicode_escape").encode("latin-1").decode(errors="replace")


def _hunk(text: str) -> LockHunk | None:
    header, _, body = text.partition("\n")
    match = _HEADER.fullmatch(header)
    return LockHunk(first_line=int(match[1]), lines=tuple(body.removesuffix("\n").split("\n"))) if match else None


def _is_lock_path(path: str) -> bool:
    parts = path.split("/")
    is_plain = _PATH.fullmatch(path) and visible(path) == path
    return bool(is_plain) and parts[-1] == LOCK_NAME and not {"", ".", ".."} & set(parts)


def _are_plain(hunks: Sequence[LockHunk]) -> bool:
    """Whether hunks are in order and apart, and have lines that are shown as they are."""
    if sum(len(hunk.lines) for hunk in hunks) > MOST_LINES:
        return False
    free = 1
    for hunk in hunks:
        if not all(map(_is_plain, hunk.lines)) or not hunk.before:
            return False
        if not free <= hunk.first_line <= _LAST_LINE:
            return False
        free = hunk.first_line + len(hunk.before)
    return True


def _is_plain(line: str) -> bool:
    return line[:1] in _KINDS and len(line) <= LONGEST_LINE and visible_columns(line) == line and "\t" not in line


def _patch_lines(update: LockUpdate) -> Iterator[str]:
    end = "\t" if " " in update.path else ""  # so that git knows where a name with spaces ends
    yield f"--- a/{update.path}{end}"
    yield f"+++ b/{update.path}{end}"
    shift = 0
    for hunk in update.hunks:
        before, after = len(hunk.before), sum(line[0] != "-" for line in hunk.lines)
        yield f"@@ -{hunk.first_line},{before} +{hunk.first_line + shift},{after} @@"
        yield from hunk.lines
        shift += after - before


def _of_hunk(path: str, hunk: LockHunk) -> Iterator[Suggestion]:
    """
    Replace each run of changed lines.

    A suggestion replaces at least one line, so lines that are only added come with the line before them, or after
    them at the beginning of a hunk.
    """
    runs = [(kind, [line for _, line in run]) for kind, run in groupby(map(_split, hunk.lines), key=_is_context)]
    number = hunk.first_line
    for index, (is_context, lines) in enumerate(runs):
        before = sum(line[0] != "+" for line in lines)
        if not is_context:
            added = tuple(line[1:] for line in lines if line[0] == "+")
            first, last = number, number + before - 1
            if not before and index:
                first, last, added = number - 1, number - 1, (runs[index - 1][1][-1][1:], *added)
            elif not before:
                last, added = number, (*added, runs[1][1][0][1:])
            yield Suggestion(path=path, first_line=first, last_line=last, lines=added)
        number += before


def _split(line: str) -> tuple[bool, str]:
    return line[0] == " ", line


def _is_context(entry: tuple[bool, str]) -> bool:
    return entry[0]
