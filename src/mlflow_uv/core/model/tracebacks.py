"""Finds exceptions and the deepest traceback frame in a project's folder, in the output of a Python program."""

from collections.abc import Iterator, Sequence
from pathlib import Path, PurePath

from ...command.lazy_pattern import lazy_pattern
from ...payloads.messages.lazy_dataclass import lazy_dataclass

LINES = 200  # of the end of an output
_FRAME = lazy_pattern(r'[\s|+]*File "(.+)", line (\d{1,9})(?:, in .*)?')
_BEGINNING = lazy_pattern(r"[\s|+]*(?:\+ Exception Group )?Traceback \(most recent call last\):")
_EXCEPTION = lazy_pattern(r"(?:\s*\| )?([A-Za-z_][\w.]*(?:: .*)?)")


@lazy_dataclass
class Frame:
    """A file of the project, a 1-based line, and the last line of the traceback (the exception)."""

    path: Path
    line: int
    exception: str


def deepest_frame(lines: Sequence[str], folder: Path) -> Frame | None:
    """
    Return the deepest frame in a folder, of the last traceback that has one; None where no traceback has one.

    Packages installed below the folder (`.venv`, site-packages) are not part of the project.
    """
    return next(filter(None, (_frame(block, folder) for block in reversed(list(_blocks(lines[-LINES:]))))), None)


def last_exception(text: str) -> str:
    """The last line of the last traceback in a log, without the frames; empty without one."""
    exception = ""
    for block in _blocks(text.splitlines()):
        if _BEGINNING.match(block[0]):
            lines = (line for line in block[1:] if line[:1].strip() and _EXCEPTION.fullmatch(line))
            exception = next(lines, exception)
    return exception


def _blocks(lines: Sequence[str]) -> Iterator[Sequence[str]]:
    """Split the lines at the start of each traceback; a syntax error of the program itself has no start line."""
    starts = [0, *(number for number, line in enumerate(lines) if _BEGINNING.match(line))]
    for start, end in zip(starts, [*starts[1:], len(lines)], strict=True):
        yield lines[start:end]


def _frame(block: Sequence[str], folder: Path) -> Frame | None:
    place: tuple[Path, int] | None = None
    exception = ""
    for line in block:
        if match := _FRAME.fullmatch(line):
            path = folder / match[1]
            place = (path, int(match[2])) if _of_the_project(path, folder) else place
            exception = ""
        elif not exception and (match := _EXCEPTION.fullmatch(line)):
            exception = match[1]
    return None if place is None else Frame(path=place[0], line=place[1], exception=exception)


def _of_the_project(path: PurePath, folder: PurePath) -> bool:
    if ".." in path.parts or not path.is_relative_to(folder):
        return False
    inside = path.relative_to(folder).parts
    return not {"site-packages", "dist-packages", ".venv", "venv", "node_modules"} & set(inside) and bool(inside)
