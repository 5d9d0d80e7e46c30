"""Divides files into ranges of rows, each of which is scored by itself, and collects the messages about one."""

import io
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ..channel import Channel
from ..messages.scoring import EndPart, ScoringMessage, TableFile
from .csv_records import end_of_records, split_records
from .tables import Block, Position, ScoredTable, TableRequest, end_of_lines, lines_of, texts_in

RANGE_ROWS = 200_000
RANGE_BYTES = 16 << 20  # of text


@dataclass(frozen=True)
class FileRange:
    """
    A part of a file, by its index in the request: the rows from `start` to the row, or in a text the byte, `stop`.

    `last` is true for the range with the last row of its file.
    """

    file: int
    start: Position
    stop: int
    last: bool = False


class CollectedMessages(Channel):
    """A channel that keeps the messages."""

    def __init__(self) -> None:
        self.messages: list[ScoringMessage] = []

    def send(self, message: ScoringMessage) -> "dict[str, Any]":
        """Keep a message."""
        self.messages.append(message)
        return {}


class TextRange(io.RawIOBase):
    """A file that ends at a byte."""

    def __init__(self, path: Path, stop: int) -> None:
        super().__init__()
        self._file = path.open("rb", buffering=0)
        self._stop = stop

    def readable(self) -> bool:
        """See RawIOBase."""
        return True

    def seekable(self) -> bool:
        """See RawIOBase."""
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """See RawIOBase."""
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        """See RawIOBase."""
        return self._file.tell()

    def readinto(self, buffer: Any) -> int:
        """See RawIOBase."""
        length = max(0, min(len(buffer), self._stop - self._file.tell()))
        return self._file.readinto(memoryview(buffer)[:length]) or 0

    def close(self) -> None:
        """See RawIOBase."""
        self._file.close()
        super().close()


class RowRange:
    """A table that ends before the row `stop`."""

    def __init__(self, table: ScoredTable, stop: int) -> None:
        self._table = table
        self._stop = stop
        self.rows = table.rows
        self.first_offset = table.first_offset

    def blocks(self, start: Position) -> "Iterator[Block]":
        """See ScoredTable."""
        for block in self._table.blocks(start):
            over = block.end.row - self._stop
            if over >= block.count:
                return
            yield ShorterBlock(block, block.count - over) if over > 0 else block


class ShorterBlock:
    """The first rows of a block."""

    def __init__(self, block: Block, count: int) -> None:
        self._block = block
        self.end = Position(block.end.row - block.count + count, block.end.offset)
        self.count = count
        self.fraction = block.fraction

    def frame(self, start: int, stop: int) -> Any:
        """See Block."""
        return self._block.frame(start, stop)

    def keys(self, start: int, stop: int) -> "dict[str, Any]":
        """See Block."""
        return self._block.keys(start, stop)

    def record(self, row: int) -> Any:
        """See Block."""
        return self._block.record(row)


def row_ranges(number: int, start: int, rows: int, size: int) -> "list[FileRange]":
    """The ranges of a file of `rows` rows from the row `start` on, each of about `size` rows."""
    begins = range(start, rows, size)
    return [FileRange(number, Position(first), min(rows, first + size), last=first + size >= rows) for first in begins]


def text_ranges(
    number: int, request: TableRequest, kind: str, offset: int, *, size: int = RANGE_BYTES
) -> "Iterator[FileRange]":
    """
    Yield the ranges of a text from the byte `offset` on, each of about `size` bytes.

    Their first rows are not known yet, and are 0.
    """
    begin = end = offset
    for _, end in texts_in(request, offset, end_of_records if kind == "csv" else end_of_lines):
        if end - begin >= size:
            yield FileRange(number, Position(0, begin), end)
            begin = end
    if end > begin:
        yield FileRange(number, Position(0, begin), end)


def count_rows(part: FileRange, path: str, kind: str) -> int:
    """The number of records in a range of a text."""
    with Path(path).open("rb") as file:
        file.seek(part.start.offset)
        text = file.read(part.stop - part.start.offset)
    return len(split_records(text) if kind == "csv" else lines_of(text))


def numbered_ranges(ranges: "Iterable[FileRange]", counts: "Iterable[int]", row: int) -> "list[FileRange]":
    """The ranges of one text with their first rows, without those that have no record; `row` rows are before them."""
    numbered: list[FileRange] = []
    for part, count in zip(ranges, counts, strict=True):
        if count:
            numbered.append(replace(part, start=Position(row, part.start.offset)))
            row += count
    return [*numbered[:-1], replace(numbered[-1], last=True)] if numbered else []


def starting_at(file: TableFile, table: ScoredTable) -> int:
    """The byte at which the rows of a text that are scored start."""
    return max(file.offset, table.first_offset)


def of_file(messages: "Iterable[ScoringMessage]", part: FileRange) -> "Iterator[ScoringMessage]":
    """Yield the messages about a range as those of its file: only its last range ends with the last part."""
    for message in messages:
        yield replace(message, last=message.last and part.last) if isinstance(message, EndPart) else message
