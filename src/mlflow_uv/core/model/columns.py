"""Checks the columns of `/invocations` requests: their order, and integers with missing values."""

import math
from collections.abc import Iterable, Mapping
from typing import Any

from ...command.lazy_pattern import lazy_pattern

# Errors of pandas, NumPy and MLflow about an integer column with a missing value.
_NO_INTEGER = lazy_pattern(
    r"NA to integer|NaN to integer|non-finite values|IntCastingNaNError|NAType|cannot be safely cast|int64 to float64|"
    r"float64 to int64|Incompatible input types for column .* Can not safely convert float64 to int64"
)


def reordered(request: Any) -> Any | None:
    """The same table with reversed columns; None for a request that is not a table of several named columns."""
    match request:
        case {"dataframe_split": {"columns": [_, _, *_] as columns, "data": list() as rows, **rest}}:
            split = {**rest, "columns": columns[::-1], "data": [list(row)[::-1] for row in rows]}
            return {**request, "dataframe_split": split}
        case {"dataframe_records": [{}, *_] as rows} if len(rows[0]) > 1:
            return {**request, "dataframe_records": [dict(reversed(row.items())) for row in rows]}
    return None


def integers_with_gaps(requests: Iterable[Any]) -> tuple[str, ...]:
    """The columns with both integers and missing values, in their order."""
    columns: dict[str, None] = {}
    for request in requests:
        for name, values in _columns(request):
            present = [value for value in values if not _missing(value)]
            whole = all(isinstance(value, (int, float)) and float(value).is_integer() for value in present)
            if present and whole and len(present) < len(values):
                columns[name] = None
    return tuple(columns)


def as_floats(columns: Iterable[str]) -> str:
    """The code that converts columns to floats, for training before `fit` and `log_model`."""
    types = ", ".join(f"{name!r}: 'float64'" for name in columns)
    return f"X = X.astype({{{types}}})" if types else "X = X.astype('float64')"


def is_about_integers_with_gaps(message: str) -> bool:
    """Whether an error is about a missing value in an integer column."""
    return _NO_INTEGER.search(message) is not None


def _columns(request: Any) -> Iterable[tuple[str, list[Any]]]:
    match request:
        case {"dataframe_split": {"columns": list() as columns, "data": list() as rows}}:
            for position, name in enumerate(columns):
                yield str(name), [row[position] for row in rows if isinstance(row, list) and len(row) > position]
        case {"dataframe_records": list() as rows}:
            records = [row for row in rows if isinstance(row, Mapping)]
            for name in dict.fromkeys(key for row in records for key in row):
                yield str(name), [row.get(name) for row in records]


def _missing(value: Any) -> bool:
    return value is None or (isinstance(value, float) and math.isnan(value))
