"""
Reads the JSON of plain columns and tensors at once, with the result of MLflow's reading column by column.

MLflow's server casts each column of a request twice: while it reads the JSON, and again in `PyFuncModel.predict`, where
the schema is enforced. For values whose JSON type has one meaning in a column, both results are known beforehand. A
`Reader` returns None for everything else, and MLflow's own code reads the request: a reading has no side effects, so it
may give up at any point. The results are equal in values, types, index and memory layout, because a model's last digits
may depend on the layout of its input.
"""

from collections.abc import Callable, Sequence
from itertools import chain
from operator import itemgetter
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

# The largest integers that are exact on the way from JSON to a column, whether by way of int64, float64 or neither.
EXACT = {"f4": 2**53, "f8": 2**62}
# Frames that MLflow derives from each other have the same index object before pandas 3, and a model may rename it.
ONE_INDEX = int(pd.__version__.partition(".")[0]) < 3  # noqa: PLR2004
NUMBERS: "frozenset[type]" = frozenset({int, float, type(None)})
NUMERIC_KINDS = "biuf"
Plain = tuple[str, "frozenset[type]"]
# By MLflow type: numpy's, and the JSON types of its values. About any other, such as a float in a column of integers,
# MLflow decides.
PLAIN: "dict[str, Plain]" = {
    "boolean": ("?", frozenset({bool})),
    "integer": ("i4", frozenset({int})),
    "long": ("i8", frozenset({int})),
    "float": ("f4", NUMBERS),
    "double": ("f8", NUMBERS),
    "string": ("U", frozenset({str})),
}


class Reading(NamedTuple):
    """
    What MLflow would make of a request.

    `data` is the argument of `PyFuncModel.predict`, which error messages show; `enforced` is what the model itself
    gets, None where MLflow has still to enforce the schema.
    """

    data: Any
    enforced: Any


Reader = Callable[[str, Any], "Reading | None"]


class Unclear(Exception):
    """A value that MLflow has to read."""


def reader_of(schema: Any) -> "Reader | None":
    """The reader for models with this input schema; None if their requests are always read by MLflow."""
    if schema is None:
        return None
    if schema.is_tensor_spec():
        kinds = {spec.type.kind for spec in schema.inputs}
        if not kinds <= set(NUMERIC_KINDS):
            return None
        return NamedTensors(schema).read if schema.has_input_names() else unnamed_tensor(schema.inputs[0].type)
    if not schema.has_input_names():
        return None
    names = schema.input_names()
    types = [str(getattr(spec.type, "name", "")) for spec in schema.inputs]
    plain = len(set(names)) == len(names) and all(type(name) is str for name in names) and PLAIN.keys() >= set(types)
    return Columns(names, types).read if plain else None


def unnamed_tensor(dtype: Any) -> Reader:
    """The reader for a model with one tensor."""

    def read(form: str, value: Any) -> "Reading | None":
        if form not in {"inputs", "instances"} or type(value) is not list or not value or type(value[0]) is dict:
            return None
        return Reading(np.array(value, dtype=dtype), None)

    return read


class NamedTensors:
    """The reader for a model with named tensors."""

    def __init__(self, schema: Any) -> None:
        self._dtypes = {spec.name: spec.type for spec in schema.inputs}

    def read(self, form: str, value: Any) -> "Reading | None":
        """The arrays by name; a request with a name that is not in the signature is read by MLflow."""
        if form == "inputs" and type(value) is dict:
            return Reading({name: np.array(part, dtype=self._dtypes[name]) for name, part in value.items()}, None)
        if form == "instances" and type(value) is list and value:
            names, parts = by_column(value)
            return Reading(
                {name: stacked(part, self._dtypes[name]) for name, part in zip(names, parts, strict=True)}, None
            )
        return None


def stacked(elements: Sequence[Any], dtype: Any) -> Any:
    """One array of the elements of a named tensor, each of which MLflow converts by itself."""
    return np.array([np.array(element, dtype=dtype) for element in elements])


class Columns:
    """The reader for a model whose columns have names and plain types."""

    def __init__(self, names: Sequence[str], types: Sequence[str]) -> None:
        self._names = tuple(names)
        self._index = pd.Index(list(names))
        self._plain = {name: PLAIN[kind] for name, kind in zip(names, types, strict=True)}
        kinds = set(types)
        self._uniform = PLAIN[next(iter(kinds))] if len(kinds) == 1 and "string" not in kinds else None

    def read(self, form: str, value: Any) -> "Reading | None":
        """The frame, or for `inputs` and `instances` the arrays by name, in the order of the request."""
        if form == "dataframe_split":
            return self._split(value)
        if form == "dataframe_records":
            return self._frames(*by_column(value))
        if form == "instances":
            return self._arrays(*by_column(value))
        if form == "inputs" and type(value) is dict and {type(part) for part in value.values()} == {list}:
            return self._arrays(tuple(value), list(value.values()))
        return None

    def _split(self, value: Any) -> "Reading | None":
        if type(value) is not dict or not {"columns", "data"} <= value.keys() <= {"columns", "data", "index"}:
            return None
        names, rows = value["columns"], value["data"]
        if value.get("index") is not None or type(names) is not list or type(rows) is not list or not rows:
            return None
        if {type(row) for row in rows} != {list} or {len(row) for row in rows} != {len(names)}:
            return None
        return self._frames(tuple(names), list(zip(*rows, strict=True)))

    def _frames(self, names: "tuple[str, ...]", columns: Sequence[Sequence[Any]]) -> "Reading | None":
        ordered = self._ordered(names, columns)
        if ordered is None:
            return None
        enforced = self._frame(ordered)
        # A copy, because pandas treats a model's changes differently where frames share memory.
        shown = (enforced if names == self._names else enforced[list(names)]).copy()
        if ONE_INDEX:
            shown.index = enforced.index
        return Reading(shown, enforced)

    def _arrays(self, names: "tuple[str, ...]", columns: Sequence[Sequence[Any]]) -> "Reading | None":
        if self._ordered(names, columns) is None or len({len(column) for column in columns}) != 1:
            return None
        arrays = {name: array(column, self._plain[name]) for name, column in zip(names, columns, strict=True)}
        ordered = [arrays[name] for name in self._names]
        if self._uniform is not None:
            return Reading(arrays, self._joined(np.stack(ordered)))
        return Reading(arrays, pd.DataFrame(dict(zip(self._names, ordered, strict=True))))

    def _ordered(self, names: "tuple[str, ...]", columns: Sequence[Any]) -> "Sequence[Any] | None":
        """The columns in the order of the signature; None if the request has other columns, or no rows."""
        if not columns or not columns[0]:
            return None
        if names == self._names:
            return columns
        if len(names) != len(self._names) or set(names) != set(self._names):
            return None
        by_name = dict(zip(names, columns, strict=True))
        return [by_name[name] for name in self._names]

    def _frame(self, ordered: Sequence[Sequence[Any]]) -> Any:
        """The frame that a model gets: pandas keeps columns of one type as the rows of one array."""
        if self._uniform is not None:
            return self._joined(array(ordered, self._uniform))
        kinds = self._plain.values()
        return pd.DataFrame(
            {name: column_of(values, kind) for name, values, kind in zip(self._names, ordered, kinds, strict=True)}
        )

    def _joined(self, block: Any) -> Any:
        """The frame of an array with a row for each column; with an index of its own, whose name a model may change."""
        return pd.DataFrame(block.T, columns=self._index.copy(), copy=False)


def by_column(rows: Any) -> "tuple[tuple[str, ...], list[tuple[Any, ...]]]":
    """Names and columns of a list of objects that all have the same members. Raises Unclear for anything else."""
    if type(rows) is not list or not rows or {type(row) for row in rows} != {dict}:
        raise Unclear
    names = tuple(rows[0])
    if {len(row) for row in rows} != {len(names)} or not names:
        raise Unclear
    if len(names) == 1:
        return names, [tuple(row[names[0]] for row in rows)]
    values = itemgetter(*names)
    return names, list(zip(*(values(row) for row in rows), strict=True))


def column_of(values: Sequence[Any], plain: Plain) -> Any:
    """The values of one column for a DataFrame: an array, or for text a list, whose type in a frame pandas decides."""
    code, types = plain
    if code != "U":
        return array(values, plain)
    if not types >= set(map(type, values)):
        raise Unclear
    return list(values)


def array(values: Sequence[Any], plain: Plain) -> Any:
    """One column as an array, or several as the rows of one. Raises Unclear for a value that MLflow has to read."""
    code, types = plain
    cells = list(chain.from_iterable(values)) if type(values[0]) in {list, tuple} else values
    present = set(map(type, cells))
    if not types >= present:
        raise Unclear
    if code == "i4":
        wide = flat(cells, "i8", present)
        narrow = wide.astype("i4")
        if (narrow != wide).any():
            raise Unclear
        return shaped(narrow, values)
    if code == "U" and "\0" in "".join(cells):  # numpy drops them at the end of a text, and keeps the width
        raise Unclear
    if code not in EXACT:
        return shaped(flat(cells, code, present), values)
    numbers = flat(cells, "f8", present)
    limit = EXACT[code]
    if (
        int in present
        and (np.abs(numbers) > limit).any()
        and any(type(cell) is int and abs(cell) > limit for cell in cells)
    ):
        raise Unclear
    return shaped(numbers.astype(code, copy=False), values)


def flat(cells: Sequence[Any], code: str, present: "set[type]") -> Any:
    """An array of these cells, with NaN for null; numbers without nulls are converted one by one, which is faster."""
    convert_all = code == "U" or type(None) in present
    return np.array(cells, dtype=code) if convert_all else np.fromiter(cells, code, len(cells))


def shaped(cells: Any, values: Sequence[Any]) -> Any:
    """The cells of one column as they are, those of several as the rows of an array; Unclear if some are longer."""
    if type(values[0]) not in {list, tuple}:
        return cells
    if len({len(row) for row in values}) != 1:
        raise Unclear
    return cells.reshape(len(values), -1)
