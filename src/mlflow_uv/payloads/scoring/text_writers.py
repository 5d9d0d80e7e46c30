"""Writes columns as lines of CSV or JSON Lines, each line from one template with the texts that all rows share."""

import io
import json
import math
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from ..problems import Problem, ProblemKind, quoted

_TO_QUOTE = re.compile(r'[",\r\n]')
_JSON = json.JSONEncoder(ensure_ascii=False).encode


@dataclass(frozen=True)
class Repeated:
    """A column with one text in every row."""

    text: str


class CsvWriter:
    """Writes CSV with a line of column names; lists are JSON text, a missing value is an empty field."""

    def __init__(self, file: "io.BufferedWriter[Any]") -> None:
        self._file = file
        self._columns: list[str] = []

    def add(self, columns: "dict[str, Any]", rows: int) -> None:
        """See TableWriter."""
        names = list(columns)
        if not self._columns:
            self._file.write(_encoded(",".join(map(csv_text, names)) + "\n"))
            self._columns = names
        if names != self._columns:
            reason = f"the model returns the columns {quoted(names)}, and returned {quoted(self._columns)} before"
            raise Problem(ProblemKind.CANNOT_PREDICT, reason)
        fields = [_constant(csv_text(v.text)) if isinstance(v, Repeated) else "%s" for v in columns.values()]
        texts = [csv_texts(values) for values in columns.values() if not isinstance(values, Repeated)]
        self._file.write(_lines(",".join(fields), texts, rows))

    def close(self) -> None:
        """See TableWriter."""
        self._file.flush()


class JsonLinesWriter:
    """Writes one JSON object a line; NaN is null, since JSON has no such number."""

    def __init__(self, file: "io.BufferedWriter[Any]") -> None:
        self._file = file

    def add(self, columns: "dict[str, Any]", rows: int) -> None:
        """See TableWriter."""
        members = [
            f"{_constant(_JSON(name))}: {_constant(_JSON(v.text)) if isinstance(v, Repeated) else '%s'}"
            for name, v in columns.items()
        ]
        texts = [json_texts(values) for values in columns.values() if not isinstance(values, Repeated)]
        self._file.write(_lines("{" + ", ".join(members) + "}", texts, rows))

    def close(self) -> None:
        """See TableWriter."""
        self._file.flush()


def _constant(text: str) -> str:
    """The text as a part of a template."""
    return text.replace("%", "%%")


def _lines(template: str, texts: "list[list[str]]", rows: int) -> bytes:
    """A line for each row. Raises ValueError if a column has another number of values."""
    lines = list(map(f"{template}\n".__mod__, zip(*texts, strict=True)))
    if len(lines) != rows:
        raise ValueError(f"{len(lines)} of {rows} rows")
    return _encoded("".join(lines))


def _encoded(text: str) -> bytes:
    return text.encode(errors="replace")  # a lone surrogate has no UTF-8


def csv_texts(values: Any) -> "list[str]":
    """Each value as a field of CSV."""
    kind = _kind(values)
    if kind in "biu":
        return list(map(str, values.tolist()))
    if kind == "f":
        return [repr(value) if math.isfinite(value) else _odd_number(value) for value in values.tolist()]
    return [csv_text(value) for value in listed(values)]


def csv_text(value: Any) -> str:
    """A value as a field of CSV (RFC 4180); a missing one is empty."""
    plain = json_value(value)
    if plain is None:
        return ""
    text = _JSON(plain) if isinstance(plain, (list, dict)) else str(plain)
    return '"' + text.replace('"', '""') + '"' if _TO_QUOTE.search(text) else text


def _odd_number(value: float) -> str:
    return "" if math.isnan(value) else str(value)


def json_texts(values: Any) -> "list[str]":
    """Each value as JSON."""
    kind = _kind(values)
    if kind in "iu":
        return list(map(str, values.tolist()))
    if kind == "f":
        return [repr(value) if math.isfinite(value) else _JSON(json_value(value)) for value in values.tolist()]
    return [_JSON(value if isinstance(value, str) else json_value(value)) for value in listed(values)]


def _kind(values: Any) -> str:
    """The kind of NumPy's type of a column, `O` for any other one; pandas' own types have missing values."""
    dtype = getattr(values, "dtype", None)
    return str(getattr(dtype, "kind", "O")) if getattr(dtype, "isbuiltin", 0) else "O"


def listed(values: Any) -> "Iterable[Any]":
    """The values of a list, a NumPy array, a Series or an Arrow array."""
    if isinstance(values, list):
        return values
    plain: list[Any] = values.to_pylist() if hasattr(values, "to_pylist") else values.tolist()
    return plain


def json_value(value: Any) -> Any:
    """A value as JSON: NaN and other missing values are null, infinities and what JSON has no type for are text."""
    if isinstance(value, float) and not math.isfinite(value):
        return None if math.isnan(value) else str(value)
    if value is None or isinstance(value, (str, bool, int, float)):
        return value
    if isinstance(value, (list, tuple)):
        return [json_value(item) for item in value]
    if isinstance(value, dict):
        return {str(name): json_value(item) for name, item in value.items()}
    if type(value).__name__ in ("NaTType", "NAType"):  # pandas' missing values
        return None
    if hasattr(value, "dtype") and hasattr(value, "tolist"):  # NumPy's numbers and arrays
        return json_value(value.tolist())
    return value.isoformat() if hasattr(value, "isoformat") else str(value)
