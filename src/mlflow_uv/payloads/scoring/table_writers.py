"""Writes columns as one Parquet file, batch by batch, and opens the writer for any kind of file."""

import io
from typing import Any, Protocol

import numpy as np
import pandas as pd

from ..problems import Problem, ProblemKind, first_line, quoted
from .text_writers import CsvWriter, JsonLinesWriter, Repeated

GROUP_ROWS = 1 << 17  # rows that are collected for one row group of Parquet
_ARROW_TYPES = {
    "boolean": "bool", "integer": "int32", "long": "int64", "float": "float32", "double": "float64",
    "string": "string", "binary": "binary", "datetime": "timestamp[ns]",
}  # fmt: skip


class TableWriter(Protocol):
    """A file that is being written."""

    def add(self, columns: "dict[str, Any]", rows: int) -> None:
        """
        Append rows; every batch has the same columns, some of which are Repeated.

        Raises Problem for values of another type than before.
        """

    def close(self) -> None:
        """Write what is left; the file is complete then."""


def open_writer(kind: str, file: "io.BufferedWriter[Any]", output_schema: Any) -> TableWriter:
    """
    Start a file of a kind (parquet, csv, jsonl).

    `output_schema` is the output schema of the model or None; its types are used for columns that fit them. Raises
    Problem if the environment cannot write that kind.
    """
    if kind == "parquet":
        return ParquetWriter(file, output_schema)
    return CsvWriter(file) if kind == "csv" else JsonLinesWriter(file)


class ParquetWriter:
    """Writes Parquet. The types of the first batch are those of the file."""

    def __init__(self, file: "io.BufferedWriter[Any]", output_schema: Any) -> None:
        try:
            import pyarrow as pa  # noqa: PLC0415  # mlflow-skinny does not bring it
            from pyarrow import parquet  # noqa: PLC0415
        except ImportError as error:
            reason = "the environment of the model has no pyarrow, which reads and writes Parquet"
            raise Problem(ProblemKind.LIBRARY_MISSING, reason) from error
        self._arrow, self._parquet = pa, parquet
        self._file = file
        self._declared = _declared(output_schema)
        self._schema: Any = None
        self._writer: Any = None
        self._pending: list[Any] = []
        self._rows = 0

    def add(self, columns: "dict[str, Any]", rows: int) -> None:
        """See TableWriter."""
        types = {} if self._schema is None else {field.name: field.type for field in self._schema}
        if self._schema is not None and list(columns) != list(types):
            reason = f"the model returns the columns {quoted(columns)}, and returned {quoted(types)} before"
            raise Problem(ProblemKind.CANNOT_PREDICT, reason)
        arrays = {
            name: self._arrow.repeat(values.text, rows)
            if isinstance(values, Repeated)
            else self._array(name, values, types.get(name))
            for name, values in columns.items()
        }
        table = self._arrow.table(arrays)
        self._schema = table.schema if self._schema is None else self._schema
        self._pending.append(table)
        self._rows += rows
        if self._rows >= GROUP_ROWS:
            self._flush()

    def _array(self, name: str, values: Any, known: Any) -> Any:
        arrow = self._arrow
        if isinstance(values, pd.Series) and isinstance(values.dtype, np.dtype) and values.dtype.kind in "biuf":
            values = values.to_numpy()  # NaN of a Series would become null
        try:
            array = (
                values if isinstance(values, arrow.Array) else arrow.array(values, from_pandas=isinstance(values, list))
            )
            if known is not None:
                return array if array.type == known else array.cast(known)
        except (arrow.ArrowException, TypeError, ValueError, OverflowError) as error:
            before = f", and was {known} before" if known is not None else ""
            reason = f"`{name}` has values of no common type{before}: {first_line(error)}"
            raise Problem(ProblemKind.CANNOT_PREDICT, reason) from error
        declared = self._declared.get(name)
        if declared is not None or arrow.types.is_null(array.type):
            try:
                return array.cast(arrow.type_for_alias(declared or "string"))
            except arrow.ArrowException:
                return array
        return array

    def _flush(self) -> None:
        if self._pending:
            table = self._arrow.concat_tables(self._pending)
            if self._writer is None:
                self._writer = self._parquet.ParquetWriter(self._file, table.schema)
            self._writer.write_table(table)
        self._pending, self._rows = [], 0

    def close(self) -> None:
        """See TableWriter."""
        self._flush()
        if self._writer is not None:
            self._writer.close()
        self._file.flush()


def _declared(output_schema: Any) -> "dict[str, str]":
    """Arrow's names of the types that the output schema declares, by the names of the columns."""
    if output_schema is None or output_schema.is_tensor_spec():
        return {}
    names = output_schema.input_names() if output_schema.has_input_names() else ["prediction"]
    types = (getattr(declared, "name", "") for declared in output_schema.input_types())
    return {str(name): _ARROW_TYPES[kind] for name, kind in zip(names, types, strict=False) if kind in _ARROW_TYPES}
