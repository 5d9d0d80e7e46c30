"""Defines how a file is read in blocks of bounded size, from any row or byte at which a block started."""

import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol

from ..problems import Problem, ProblemKind, quoted

BLOCK = 4 << 20  # bytes of text in a block
LONGEST = 64 << 20  # bytes of one record


@dataclass(frozen=True)
class Position:
    """A place between two rows: the number of rows before it, and for text the byte at which the next one starts."""

    row: int = 0
    offset: int = 0


class Block(Protocol):
    """Some rows of a file. `end` is the place after them, `fraction` how much of the file has been read by then."""

    count: int
    end: Position
    fraction: float

    def frame(self, start: int, stop: int) -> Any:
        """Rows of the block as a DataFrame with the signature's types. Raises anything for rows that have others."""

    def keys(self, start: int, stop: int) -> "dict[str, Any]":
        """The key columns of rows that `frame` accepted, as sequences."""

    def record(self, row: int) -> Any:
        """A row as a JSON value."""


class ScoredTable(Protocol):
    """A file; `rows` is their number, None for text, whose first row is at the byte `first_offset`."""

    rows: "int | None"
    first_offset: int

    def blocks(self, start: Position) -> Iterator[Block]:
        """Its rows from a position on. Raises Problem for a file that cannot be read."""


@dataclass(frozen=True)
class TableRequest:
    """The file and what is read of it; `batch_rows` limits a block of a format with types."""

    name: str
    file: "io.BufferedReader[Any]"
    size: int
    model: Any
    key_columns: "tuple[str, ...]"
    batch_rows: int

    @property
    def schema(self) -> Any:
        """The input schema of the model, None without one."""
        return self.model.metadata.get_input_schema()

    def require(self, columns: "list[str]") -> None:
        """Raise Problem if the columns of the file are not those that are needed."""
        schema = self.schema
        named = list(schema.required_input_names()) if schema is not None and schema.has_input_names() else []
        has = f"its columns are {quoted(columns)}" if columns else "it has none"
        if missing := [name for name in named if name not in columns]:
            raise Problem(
                ProblemKind.INVALID, f"`{self.name}` lacks {quoted(missing)}, which the model requires; {has}"
            )
        if missing := [name for name in self.key_columns if name not in columns]:
            raise Problem(ProblemKind.INVALID, f"`{self.name}` lacks the key column {quoted(missing)}; {has}")


def texts_in(request: TableRequest, offset: int, end_of: Callable[[bytes], int]) -> "Iterator[tuple[bytes, int]]":
    """Whole records of about BLOCK bytes, and the offset after them; the last may have no line break."""
    request.file.seek(offset)
    pending = b""
    while block := request.file.read(max(BLOCK, len(pending))):  # a long record is not searched block by block
        pending += block
        end = end_of(pending)
        if end:
            offset += end
            yield pending[:end], offset
            pending = pending[end:]
        require_record_limit(pending, request.name)
    if pending:
        yield pending, offset + len(pending)


def require_record_limit(record: bytes, name: str) -> None:
    """Raise Problem for the start of a record that is longer than LONGEST."""
    if len(record) > LONGEST:
        reason = f"`{name}` has a record of more than {LONGEST >> 20} MiB; a quote may not be closed"
        raise Problem(ProblemKind.INVALID, reason)


def lines_of(text: bytes) -> "list[bytes]":
    """The lines of a text, without blank ones."""
    return [line for line in text.removeprefix(b"\xef\xbb\xbf").split(b"\n") if line.strip()]


def end_of_lines(text: bytes) -> int:
    """The end of the last complete line of a text; 0 if there is none."""
    return text.rfind(b"\n") + 1
