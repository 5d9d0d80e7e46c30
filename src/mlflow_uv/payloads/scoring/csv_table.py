"""Reads CSV with the types of the model's signature, so that none is guessed."""

import csv
import io
import warnings
from collections.abc import Iterator
from typing import Any

import pandas as pd

from ..models.signature_columns import conform
from ..problems import Problem, ProblemKind, quoted
from .csv_records import end_of_first_record, end_of_records, split_records
from .tables import Block, Position, TableRequest, require_record_limit, texts_in

# What stands for a missing value in a column of a CSV file that is not of text; in one of text, only an empty field.
MISSING = ("", "NA", "N/A", "NaN", "nan", "-nan", "NULL", "null", "None", "n/a", "#N/A", "<NA>")
# From this release on, pandas reads floating-point numbers exactly by default.
_EXACT_BY_DEFAULT = (3, 1)


class CsvTable:
    """A CSV file with a line of column names, in UTF-8. Its types are those of the signature; none is guessed."""

    def __init__(self, request: TableRequest) -> None:
        self._request = request
        self.rows: int | None = None
        schema = request.schema
        if schema is None:
            reason = f"`{request.name}` is CSV, which has no types, and the model has no signature that declares them"
            raise Problem(ProblemKind.INVALID, reason)
        header, self.first_offset = self._header()
        self.columns = header
        if repeated := sorted({name for name in header if header.count(name) > 1}):
            raise Problem(ProblemKind.INVALID, f"`{request.name}` has several columns {quoted(repeated)}")
        request.require(header)
        self.types = dict.fromkeys(header, object) | dict(_column_types(schema, header, request.name))
        self.missing = {name: [""] if kind is object else [*MISSING] for name, kind in self.types.items()}

    def _header(self) -> "tuple[list[str], int]":
        """The column names, and where the rows start."""
        request, text = self._request, b""
        while not (end := end_of_first_record(text)):
            block = request.file.read(max(1 << 16, len(text)))
            text += block
            if not block:
                end = len(text)
                break
            require_record_limit(text, request.name)
        try:
            decoded = text[:end].decode("utf-8-sig")
        except UnicodeDecodeError as error:
            raise Problem(ProblemKind.INVALID, f"`{request.name}` is not UTF-8: {error}") from error
        return next(csv.reader(io.StringIO(decoded, newline="")), []), end

    def blocks(self, start: Position) -> Iterator[Block]:
        """See ScoredTable."""
        place = Position(start.row, max(start.offset, self.first_offset))
        for text, offset in texts_in(self._request, place.offset, end_of_records):
            block = CsvBlock(text, self, place.row, offset)
            place = block.end
            if block.count:
                yield block

    def parse(self, text: bytes) -> Any:
        """Records as a DataFrame. Raises anything for a value of another type, and for a record with more fields."""
        exact = {} if _version() >= _EXACT_BY_DEFAULT else {"float_precision": "round_trip"}
        with warnings.catch_warnings():
            warnings.simplefilter("error", pd.errors.ParserWarning)  # fields beyond the last column are not dropped
            return pd.read_csv(
                io.BytesIO(text), header=None, names=self.columns, index_col=False, dtype=self.types,
                keep_default_na=False, na_values=self.missing, low_memory=False, encoding="utf-8", **exact,
            )  # fmt: skip

    def conformed(self, frame: Any) -> Any:
        """The columns of the signature with its types."""
        return conform(self._request.model, frame.copy(deep=False), None, text=True)

    @property
    def key_columns(self) -> "tuple[str, ...]":
        """The columns that are copied."""
        return self._request.key_columns

    @property
    def size(self) -> int:
        """Bytes of the file."""
        return self._request.size


class CsvBlock:
    """Records of a CSV file. They are parsed and converted together, and one range at a time if that fails."""

    def __init__(self, text: bytes, table: CsvTable, row: int, offset: int) -> None:
        self._table = table
        self._text = text
        self._records: list[bytes] | None = None
        self._frame: Any = None
        self._conformed: Any = None
        try:
            self._frame = table.parse(text)
            self._conformed = table.conformed(self._frame)
        except Exception:  # noqa: BLE001  # which of the records fails is found range by range
            self._records = None if self._frame is not None else split_records(text)
        self.count = len(self._frame) if self._records is None else len(self._records)
        self.end = Position(row + self.count, offset)
        self.fraction = offset / max(1, table.size)

    def _rows(self, start: int, stop: int) -> Any:
        if self._frame is not None:
            return self._frame.iloc[start:stop].reset_index(drop=True)
        return self._table.parse(b"".join((self._records or [])[start:stop]))

    def frame(self, start: int, stop: int) -> Any:
        """See Block."""
        if self._conformed is not None:
            return self._conformed.iloc[start:stop].reset_index(drop=True)
        return self._table.conformed(self._rows(start, stop))

    def keys(self, start: int, stop: int) -> "dict[str, Any]":
        """See Block."""
        if not self._table.key_columns:
            return {}
        rows = self._rows(start, stop)
        return {name: rows[name] for name in self._table.key_columns}

    def record(self, row: int) -> Any:
        """See Block."""
        if self._records is None:
            self._records = split_records(self._text)
        return self._records[row].decode(errors="replace").rstrip("\r\n")


def _column_types(schema: Any, header: "list[str]", file: str) -> "Iterator[tuple[str, Any]]":
    """Yield the type of each column of the signature; dates and bytes are read as text and converted later."""
    if schema.has_input_names():
        pairs = list(zip(schema.input_names(), schema.input_types(), strict=True))
    elif schema.is_tensor_spec():
        pairs = [(name, schema.input_types()[0]) for name in header]
    else:
        pairs = list(zip(header, schema.input_types(), strict=False))
    for name, declared in pairs:
        if hasattr(declared, "to_pandas"):
            kind = declared.to_pandas()
        elif hasattr(declared, "kind"):
            kind = declared
        elif type(declared).__name__ == "AnyType":
            continue
        else:
            reason = f"`{file}` is CSV, which cannot hold the values of `{name}`, {type(declared).__name__.lower()}"
            raise Problem(ProblemKind.INVALID, f"{reason}; JSON Lines and Parquet can")
        yield name, kind if getattr(kind, "kind", "O") in "biuf" else object


def _version() -> "tuple[int, ...]":
    return tuple(int(part) for part in pd.__version__.split(".")[:2])
