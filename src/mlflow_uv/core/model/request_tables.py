"""Reads the table in a request for `/invocations`, and writes requests with other rows in the same format."""

from collections.abc import Mapping, Sequence
from enum import Enum
from typing import Any

from ...payloads.messages.lazy_dataclass import lazy_dataclass
from .derived_values import typical_value

# Fields of a request that hold the input; MLflow's server requires exactly one. Without one it may be a request of a
# chat, completion or agent model, whose fields are the input.
_INPUT_FIELDS = ("dataframe_split", "dataframe_records", "inputs", "instances")
PARAMS = "params"

Row = Mapping[Any, Any]


class RequestFormat(Enum):
    """How a request writes rows."""

    SPLIT = "columns and data"
    RECORDS = "a list of rows"
    COLUMNS = "an object of columns"
    SINGLE = "one row"
    VALUES = "a list of values"
    FIELDS = "the fields of the request"


@lazy_dataclass
class TableColumn:
    """A column: its key in a row, its specification in the signature, and whether a request must have it."""

    key: Any
    spec: Mapping[str, Any]
    required: bool


@lazy_dataclass
class RequestTable:
    """The rows of a request, the field that holds them, and the whole request with its other fields."""

    format: RequestFormat
    field: str
    request: Mapping[str, Any]
    rows: tuple[Row, ...]

    @property
    def has_batches(self) -> bool:
        """Whether the format can hold any number of rows."""
        return self.format not in (RequestFormat.SINGLE, RequestFormat.FIELDS)

    @property
    def keys(self) -> tuple[Any, ...]:
        """The columns of the first row, in their order."""
        return tuple(self.rows[0]) if self.rows else ()

    def written(self, rows: Sequence[Row], keys: Sequence[Any] | None = None) -> Mapping[str, Any]:
        """The request with other rows, and with `keys` as the columns of a format that lists them."""
        match self.format:
            case RequestFormat.FIELDS:
                return dict(rows[0])
            case RequestFormat.SPLIT:
                columns = list(self.keys if keys is None else keys)
                content: Any = {"columns": columns, "data": [[row.get(key) for key in columns] for row in rows]}
            case RequestFormat.COLUMNS:
                columns = list(self.keys if keys is None else keys)
                content = {key: [row.get(key) for row in rows] for key in columns}
            case RequestFormat.VALUES:
                content = [row[None] for row in rows]
            case RequestFormat.SINGLE:
                content = dict(rows[0])
            case RequestFormat.RECORDS:
                content = [dict(row) for row in rows]
        return self.with_field(self.field, content)

    def with_field(self, name: str, content: Any) -> Mapping[str, Any]:
        """The request with another value of a field, which keeps its place."""
        return {**self.request, name: content}


def input_field(request: object) -> str | None:
    """The field of a request that holds its input; None without one, and for several."""
    fields = [field for field in _INPUT_FIELDS if isinstance(request, dict) and field in request]
    return fields[0] if len(fields) == 1 else None


def read_table(request: object, columns: Sequence[Mapping[str, Any]]) -> RequestTable | None:
    """The table in a request, whose signature has these columns; None if it has no row, or another format."""
    field = input_field(request)
    if not isinstance(request, dict):
        return None
    if field is None:
        named = {spec.get("name") for spec in columns} & request.keys()
        rows: tuple[Row, ...] = (request,) if named and not request.keys() & set(_INPUT_FIELDS) else ()
        return _table(RequestFormat.FIELDS, "", request, rows)
    match request[field]:
        case {"columns": list() as names, "data": list() as data} if field == "dataframe_split" and _usable(names):
            rows = tuple(dict(zip(names, row, strict=False)) for row in data if isinstance(row, list))
            return _table(RequestFormat.SPLIT, field, request, rows)
        case [dict(), *_] as records if all(isinstance(record, dict) for record in records):
            if len(columns) == 1 and columns[0].get("name") is None:
                return _table(RequestFormat.VALUES, field, request, tuple({None: record} for record in records))
            return _table(RequestFormat.RECORDS, field, request, tuple(records))
        case list() as values:
            return _table(RequestFormat.VALUES, field, request, tuple({None: value} for value in values))
        case dict() as content if field == "inputs" and content:
            return _of_object(request, content, columns)
    return None


def empty_table(columns: Sequence[TableColumn]) -> RequestTable:
    """A table with one row of typical values, for a model without an example."""
    row = {column.key: typical_value(column.spec) for column in columns}
    return RequestTable(format=RequestFormat.SPLIT, field="dataframe_split", request={}, rows=(row,))


def _of_object(
    request: Mapping[str, Any], content: Mapping[str, Any], columns: Sequence[Mapping[str, Any]]
) -> RequestTable | None:
    """`inputs` as an object: of columns where all values are lists of one length, else of the values of one row."""
    lists = [value for value in content.values() if isinstance(value, list)]
    ambiguous = any(spec.get("type") == "array" for spec in columns)
    if ambiguous or len(lists) < len(content) or len({len(values) for values in lists}) != 1:
        return _table(RequestFormat.SINGLE, "inputs", request, (content,))
    rows = tuple(dict(zip(content, values, strict=True)) for values in zip(*lists, strict=True))
    return _table(RequestFormat.COLUMNS, "inputs", request, rows)


def _usable(names: Sequence[object]) -> bool:
    """Whether names of columns distinguish them; those of a MultiIndex are lists."""
    return all(isinstance(name, str | int | float) for name in names) and len(set(names)) == len(names)


def _table(
    table_format: RequestFormat, field: str, request: Mapping[str, Any], rows: tuple[Row, ...]
) -> RequestTable | None:
    return RequestTable(format=table_format, field=field, request=request, rows=rows) if rows else None
