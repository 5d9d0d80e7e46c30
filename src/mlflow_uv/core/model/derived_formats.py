"""Writes the rows of a request in the other input formats of MLflow's server, as JSON and as CSV."""

import io
import json
from collections.abc import Iterator, Sequence
from typing import Any

from .request_tables import PARAMS, RequestFormat, RequestTable

JSON_TYPE, CSV_TYPE = "application/json", "text/csv"
_TABLES = frozenset({RequestFormat.SPLIT, RequestFormat.RECORDS, RequestFormat.COLUMNS})


def other_formats(table: RequestTable) -> Iterator[tuple[str, str, str]]:
    """
    Yield what is special about a request, its body and its media type, for each other format than the request's own.

    Which of them the model accepts is not decided here but by MLflow, in the training environment. CSV is left out for
    values that it cannot express, and for a request with parameters, which CSV has no place for.
    """
    if table.format not in _TABLES or not all(isinstance(key, str) for key in table.keys):
        return
    rows = [dict(row) for row in table.rows]
    rest = {name: value for name, value in table.request.items() if name == PARAMS}
    split = {"columns": list(table.keys), "data": [[row.get(key) for key in table.keys] for row in rows]}
    contents: tuple[tuple[str, RequestFormat, Any], ...] = (
        ("dataframe_split", RequestFormat.SPLIT, split),
        ("dataframe_records", RequestFormat.RECORDS, rows),
        ("instances", RequestFormat.RECORDS, rows),
        ("inputs", RequestFormat.COLUMNS, {key: [row.get(key) for row in rows] for key in table.keys}),
    )
    for field, written, content in contents:
        if (field, written) != (table.field, table.format):
            yield f"as {field}", json.dumps({field: content, **rest}), JSON_TYPE
    if not rest and all(isinstance(row.get(key), str | int | float | None) for row in rows for key in table.keys):
        yield "as CSV", _csv(table.keys, rows), CSV_TYPE


def _csv(keys: Sequence[str], rows: Sequence[dict[str, Any]]) -> str:
    """The rows as pandas writes them: a missing value is empty."""
    import csv  # noqa: PLC0415  # few steps derive requests

    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(keys)
    writer.writerows([row.get(key) for key in keys] for row in rows)
    return text.getvalue()
