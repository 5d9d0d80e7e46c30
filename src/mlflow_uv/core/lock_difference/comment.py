"""
Writes the comment on a pull request as Markdown: the comparison of locks, and parts about what was released.

Served packages are first, those of development are folded. Every text is escaped: a comparison may come from a fork.
"""

from collections.abc import Iterable, Iterator, Sequence

from ...command.report import counted
from ...payloads.messages.lazy_dataclass import lazy_dataclass
from ..security.markdown import code, code_block, inline, table_row
from .changes import ChangeKind, PackageChange
from .comparison import LockChange, LockComparison, RepositoryComparison, TargetComparison
from .lock_update import LockUpdate, apply_command

LIMIT = 60_000  # characters; GitHub refuses a comment of more than 65536
MARKER = "<!-- mlflow-uv: comparison of locks -->"
_SHORT = 7  # characters of a commit
_SIGNS = {
    ChangeKind.ADDED: "+",
    ChangeKind.REMOVED: "−",  # noqa: RUF001  # the sign, as wide as the plus
    ChangeKind.UPDATED: "↑",
    ChangeKind.INDEX: "⚠ index",
    ChangeKind.SOURCE: "⚠ source",
    ChangeKind.FILES: "⚠ files",
    ChangeKind.FILE_LIST: "files",
    ChangeKind.USE: "use",
}
_MEGABYTE = 1_000_000
_HEADER = "| | package | before | after |\n|:-:|---|---|---|\n"


@lazy_dataclass
class CommentPart:
    """A part of the comment; one that is not essential is left out first if the comment is too long."""

    text: str
    essential: bool = False


def comment_of(comparison: RepositoryComparison, releases: Iterable[CommentPart] = ()) -> str:
    """
    The comment, which begins with MARKER; empty if there is nothing to say.

    `releases` are the parts about the versions that the pull request released.
    """
    parts = [CommentPart(text=f"{MARKER}\n", essential=True)]
    if comparison.locks or comparison.updates:
        parts.append(CommentPart(text=_top(comparison), essential=True))
    parts += _of_updates(comparison.updates)
    for lock in comparison.locks:
        parts += _of_lock(lock)
    parts += releases
    return limited(parts) if len(parts) > 1 else ""


def _top(comparison: RepositoryComparison) -> str:
    head = comparison.head_of_pull_request or comparison.head
    commits = f"`{comparison.base[:_SHORT]}` → `{head[:_SHORT]}`"
    checked = (("yanked releases", comparison.yanked_checked), ("vulnerabilities", comparison.vulnerable_checked))
    left = " and ".join(name for name, looked_up in checked if not looked_up)
    unchecked = f" · {left} were not looked up" if left else ""
    verdict = comparison.verdict
    left_out = comparison.left_out_locks
    more = f"{counted(left_out, 'lock')} more: the comparison has a limited size.\n\n" if left_out else ""
    return f"### {inline(verdict[:1].upper() + verdict[1:])}\n\n<sub>{inline(commits + unchecked)}</sub>\n\n{more}"


def _of_updates(updates: Sequence[LockUpdate]) -> Iterator[CommentPart]:
    if updates:
        names = ", ".join(f"`{update.path}`" for update in updates)
        commands = "\n".join(update.command for update in updates)
        text = f"> [!CAUTION]\n> Out of date: {inline(names)}. Update and commit:\n\n{code_block(commands)}\n"
        yield CommentPart(text=text, essential=True)
    for update in updates:
        if update.hunks:
            title = f"<summary>The same as a patch of {code(update.path)}</summary>"
            about = "The job of this pull request made it: review it as the other changes of the pull request."
            block = code_block(apply_command(update))
            yield CommentPart(text=f"<details>\n{title}\n\n{about}\n\n{block}\n</details>\n\n")


def _of_lock(lock: LockComparison) -> Iterator[CommentPart]:
    title = f"#### {code(lock.path)}{_state(lock)}\n\n"
    yield CommentPart(text=title + "".join(_warnings(lock)), essential=True)
    if lock.served:
        yield CommentPart(text=f"{_HEADER}{''.join(map(_row, lock.served))}\n")
    if lock.settings:
        rows = "".join(f"- {inline(text)}\n" for text in lock.settings)
        yield CommentPart(text=f"Settings of the lock:\n\n{rows}\n")
    sizes = [target for target in lock.targets if not target.uncovered]
    if sizes:
        yield CommentPart(text=_sizes(sizes), essential=True)
    if lock.development:
        rows = "".join(map(_row, lock.development))
        title = f"{counted(len(lock.development), 'package')} not served"
        yield CommentPart(text=f"<details>\n<summary>{title}</summary>\n\n{_HEADER}{rows}\n</details>\n\n")
    if lock.left_out:
        yield CommentPart(text=f"{counted(lock.left_out, 'package')} more\n\n")


def _state(lock: LockComparison) -> str:
    match lock.change:
        case LockChange.ADDED:
            return " (new lock)"
        case LockChange.REMOVED:
            return " (removed)"
        case LockChange.UNREADABLE:
            return " (cannot be compared)"
    return f" (moved from {code(lock.moved_from)})" if lock.moved_from else ""


def warnings_of(lock: LockComparison) -> Iterator[str]:
    """Yield what a reviewer should look at, one line each, not escaped."""
    if lock.note:
        yield lock.note
    for change in lock.packages:
        match change.kind:
            case ChangeKind.FILES:
                yield f"files of `{change.name}` {change.after} were replaced: {change.files or 'other hashes'}"
            case ChangeKind.INDEX | ChangeKind.SOURCE:
                yield _moved(change)
            case ChangeKind.UPDATED if change.source_after:
                yield _moved(change)
            case ChangeKind.ADDED if change.source_after:
                yield f"`{change.name}` {change.after} is new and comes from {change.source_after}"
        if change.files and change.kind is not ChangeKind.FILES:
            yield f"files of `{change.name}` {change.after} come {change.files}"
        if change.yanked:
            yield f"`{change.name}` {change.after} was yanked from its index"
        for vulnerability in change.vulnerabilities:
            yield f"`{change.name}` {change.after} has {vulnerability}"
    for target in lock.targets:
        if target.uncovered:
            yield f"{target.target} is not compared: {target.uncovered}"
        for problem in target.problems:
            yield f"`{problem.package}` {problem.version} has no wheel for {target.target}: {problem.method}"


def _moved(change: PackageChange) -> str:
    return f"`{change.name}` comes from {change.source_after} instead of {change.source_before}"


def _warnings(lock: LockComparison) -> Iterator[str]:
    lines = list(warnings_of(lock))
    if not lines:
        return
    shown = lines[:20]
    yield "> [!WARNING]\n"
    yield ">\n".join(f"> {inline(line)}\n" for line in shown)
    if len(lines) > len(shown):
        yield f">\n> and {len(lines) - len(shown)} more\n"
    yield "\n"


def _row(change: PackageChange) -> str:
    return table_row((_SIGNS[change.kind], f"`{change.name}`", change.before, change.after))


def _sizes(targets: Sequence[TargetComparison]) -> str:
    rows = (
        f"| {inline(target.target)} | {target.packages_before} → {target.packages_after} | {size_of(target)} |\n"
        for target in targets
    )
    return f"| served on | packages | download |\n|---|---|---|\n{''.join(rows)}\n"


def size_of(target: TargetComparison) -> str:
    """How many megabytes the files of a target gain, and how many they are."""
    if not target.bytes_after and target.unknown:
        return f"unknown: the lock has no size of {counted(target.unknown, 'package')}"
    gain = (target.bytes_after - target.bytes_before) / _MEGABYTE
    unknown = f", without {counted(target.unknown, 'package')} of unknown size" if target.unknown else ""
    return f"{gain:+.1f} MB, now {target.bytes_after / _MEGABYTE:.1f} MB{unknown}"


def limited(parts: Iterable[CommentPart]) -> str:
    """Join the parts, without the longest ones if they have more than LIMIT characters; the end says so then."""
    kept = list(parts)
    note = "Some tables are left out, because a comment has a limited length: the job summary has all of them.\n"
    shortened = False
    while sum(len(part.text) for part in kept) + len(note) > LIMIT and len(kept) > 1:
        longest = max((part for part in kept[1:] if not part.essential), key=lambda part: len(part.text), default=None)
        kept.remove(longest if longest is not None else kept[-1])
        shortened = True
    return "".join(part.text for part in kept) + (note if shortened else "")
