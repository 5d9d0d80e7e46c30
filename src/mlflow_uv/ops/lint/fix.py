"""Applies the edits of problems to their files."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from ...core.lint.rule import Edit
from ...tools.project.files import write_atomically
from .check import BrokenRule
from .folder import LIMIT, CheckedFolder


def corrected(broken: Sequence[BrokenRule], files: CheckedFolder) -> tuple[str, ...]:
    """
    Apply the edits of problems, file by file; return the paths of the files that were changed.

    Everything else in a file stays as it is: line ends, byte-order mark, bytes that are not UTF-8, and mode. Raises
    BadInput for a file that a link leads out of the folder, ToolFailed.
    """
    paths = dict.fromkeys(problem.path for problem in broken if problem.problem.edits)
    return tuple(path for path in paths if _correct(path, broken, files))


def _correct(path: str, broken: Sequence[BrokenRule], files: CheckedFolder) -> bool:
    data = files.read(path, LIMIT)
    text = files.text(path)
    if data is None or text is None:
        return False
    edits = [edit for problem in broken if problem.path == path for edit in problem.problem.edits]
    changed = edited(text, edits)
    if changed == text:
        return False
    mark = data[: len(data) - len(text.encode(errors="surrogateescape"))]  # of the byte order
    folder = Path(files.folder)
    write_atomically(folder / path, mark + changed.encode(errors="surrogateescape"), within=folder)
    return True


def edited(text: str, edits: Iterable[Edit]) -> str:
    """The text with all edits; of two that overlap, the first is applied."""
    parts, at = [], 0
    for edit in sorted(set(edits)):
        if edit.start >= at:
            parts += [text[at : edit.start], edit.text]
            at = edit.end
    return "".join((*parts, text[at:]))
