"""Reads Parquet row by row group with pyarrow, without the columns that are not needed."""

from collections.abc import Iterator
from typing import Any

from ..models.signature_columns import conform
from ..problems import Problem, ProblemKind, first_line
from .tables import Block, Position, TableRequest

BLOCK_VALUES = 4 << 20  # in a block: 32 MiB of numbers


class ParquetTable:
    """A Parquet file, read batch by batch without its unused columns."""

    def __init__(self, request: TableRequest) -> None:
        try:
            from pyarrow import parquet  # noqa: PLC0415  # mlflow-skinny does not bring it
        except ImportError as error:
            reason = "the environment of the model has no pyarrow, which reads and writes Parquet"
            raise Problem(ProblemKind.LIBRARY_MISSING, reason) from error
        try:
            self._file = parquet.ParquetFile(request.file, buffer_size=1 << 20, pre_buffer=False)
        except Exception as error:  # pyarrow has errors of its own
            raise Problem(ProblemKind.INVALID, f"`{request.name}` is not Parquet: {first_line(error)}") from error
        self.rows: int | None = self._file.metadata.num_rows
        self.first_offset = 0
        columns = self._file.schema_arrow.names
        request.require(columns)
        self._request = request
        schema = request.schema
        named = set(schema.input_names()) if schema is not None and schema.has_input_names() else set(columns)
        self._columns = [name for name in columns if name in named or name in request.key_columns]

    def blocks(self, start: Position) -> Iterator[Block]:
        """See ScoredTable."""
        first, metadata = 0, self._file.metadata
        group = 0
        while group < metadata.num_row_groups and first + metadata.row_group(group).num_rows <= start.row:
            first += metadata.row_group(group).num_rows
            group += 1
        try:
            rows = max(1, min(self._request.batch_rows, BLOCK_VALUES // max(1, len(self._columns))))
            for batch in self._file.iter_batches(
                rows, row_groups=range(group, metadata.num_row_groups), columns=self._columns
            ):
                skipped = min(batch.num_rows, max(0, start.row - first))
                first += batch.num_rows
                if skipped < batch.num_rows:
                    yield ArrowBlock(
                        batch.slice(skipped), self._request, Position(first), first / max(1, self.rows or 1)
                    )
        except OSError as error:
            raise Problem(ProblemKind.INVALID, f"`{self._request.name}` cannot be read: {first_line(error)}") from error


class ArrowBlock:
    """Rows of a Parquet file. Each range is converted by itself: a missing value changes the type of its neighbours."""

    def __init__(self, batch: Any, request: TableRequest, end: Position, fraction: float) -> None:
        self._batch = batch
        self._request = request
        self.count: int = batch.num_rows
        self.end = end
        self.fraction = fraction

    def frame(self, start: int, stop: int) -> Any:
        """See Block."""
        rows = self._batch.slice(start, stop - start)
        if self._request.schema is None:
            rows = rows.drop_columns([name for name in self._request.key_columns if name in rows.schema.names])
        return conform(self._request.model, rows.to_pandas(), None, text=False)

    def keys(self, start: int, stop: int) -> "dict[str, Any]":
        """See Block."""
        return {name: self._batch.column(name).slice(start, stop - start) for name in self._request.key_columns}

    def record(self, row: int) -> Any:
        """See Block."""
        return self._batch.slice(row, 1).to_pylist()[0]
