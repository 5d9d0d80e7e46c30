"""Reads JSON Lines, whose values get the types of the model's signature as in a request to MLflow's server."""

from collections.abc import Iterator
from typing import Any

import pandas as pd

from ..models.signature_columns import conform
from ..models.strict_json import strict_json
from ..problems import Problem, ProblemKind, quoted
from .tables import Block, Position, TableRequest, end_of_lines, lines_of, texts_in


class JsonLinesTable:
    """
    A file with one JSON object a line, in UTF-8; a value has the signature's type, as in a request to the server.

    A row that has a name twice is rejected: which of its values counts depends on the parser.
    """

    def __init__(self, request: TableRequest) -> None:
        self.request = request
        self.rows: int | None = None
        self.first_offset = 0
        schema = request.schema
        named = schema is not None and schema.has_input_names()
        self.required = frozenset((*(schema.required_input_names() if named else ()), *request.key_columns))
        first = next((line for text, _ in texts_in(request, 0, end_of_lines) for line in lines_of(text)), None)
        if first is not None:
            try:
                columns = list(strict_json(first))
            except (ValueError, TypeError):
                return  # a row like any other that cannot be scored
            request.require(columns)

    def blocks(self, start: Position) -> Iterator[Block]:
        """See ScoredTable."""
        row = start.row
        for text, offset in texts_in(self.request, start.offset, end_of_lines):
            block = JsonLinesBlock(lines_of(text), self, row, offset)
            row = block.end.row
            if block.count:
                yield block


class JsonLinesBlock:
    """Lines of a JSON Lines file."""

    def __init__(self, lines: "list[bytes]", table: JsonLinesTable, row: int, offset: int) -> None:
        self._lines = lines
        self._table = table
        self._last: tuple[int, int, list[dict[str, Any]]] | None = None  # a range and its objects
        self.count = len(lines)
        self.end = Position(row + self.count, offset)
        self.fraction = offset / max(1, table.request.size)

    def _objects(self, start: int, stop: int) -> "list[dict[str, Any]]":
        if self._last is not None and self._last[:2] == (start, stop):
            return self._last[2]
        objects: list[dict[str, Any]] = strict_json(b"[" + b",".join(self._lines[start:stop]) + b"]")
        if len(objects) != stop - start or not all(isinstance(row, dict) for row in objects):
            raise Problem(ProblemKind.INVALID, "it is not one JSON object")
        for row in objects:
            if not self._table.required <= row.keys():
                lacking = sorted(self._table.required - row.keys())
                raise Problem(ProblemKind.INVALID, f"it lacks {quoted(lacking)}")
        self._last = (start, stop, objects)
        return objects

    def frame(self, start: int, stop: int) -> Any:
        """See Block."""
        request = self._table.request
        frame = pd.DataFrame(self._objects(start, stop))
        if request.schema is None:
            frame = frame.drop(columns=[name for name in request.key_columns if name in frame.columns])
        return conform(request.model, frame, None, text=True)

    def keys(self, start: int, stop: int) -> "dict[str, Any]":
        """See Block."""
        names = self._table.request.key_columns
        objects = self._objects(start, stop) if names else []
        return {name: [row[name] for row in objects] for name in names}

    def record(self, row: int) -> Any:
        """See Block."""
        try:
            return strict_json(self._lines[row])
        except ValueError:
            return self._lines[row].decode(errors="replace")
