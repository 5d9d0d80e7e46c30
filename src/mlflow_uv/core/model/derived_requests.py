"""Derives requests from a model's signature and input example: valid, unusual and malformed ones."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain, islice, zip_longest
from typing import Any

from ...payloads.messages.lazy_dataclass import lazy_dataclass
from .derived_formats import JSON_TYPE, other_formats
from .derived_tensors import tensor_requests
from .derived_values import LabelledValue, boundary_values, mistyped_value, type_of
from .request_tables import PARAMS, RequestFormat, RequestTable, Row, TableColumn, empty_table, input_field, read_table
from .signature import signature_specs

PREFIX = "derived: "
LIMIT = 64  # requests
BODY_LIMIT = 256_000  # characters of a request
TOTAL_LIMIT = 2_000_000  # characters of all requests, which are stored in the model
LARGE_BATCH = 256  # rows
UNKNOWN = "mlflow_uv_unknown"
_SAMPLED_COLUMNS = 6
_SAMPLED_PARAMS = 3
_LONGEST_NAME = 60


@lazy_dataclass(kw_only=False)
class DerivedRequest:
    """A request that is derived: its name, such as `derived: column 'age' missing`, its exact body and its type."""

    name: str
    body: str
    content_type: str = JSON_TYPE


Derived = Iterator[tuple[str, Any]]  # what is special about a request, and the request as JSON


def derive_requests(signature: Mapping[str, Any] | None, example: object) -> tuple[DerivedRequest, ...]:
    """
    Return at most LIMIT requests for a model, always the same ones in the same order.

    `signature` is that of the MLmodel file, `example` the first recorded request; each may be None. Whether a request
    is valid is not decided here but by MLflow, in the training environment. Raises ValueError for an invalid signature.
    """
    derived: dict[str, DerivedRequest] = {}
    size = 0
    serialised = chain(
        _malformed(example), _other_formats(signature, example), _serialised(_from_signature(signature, example))
    )
    for label, body, content_type in serialised:
        name = f"{PREFIX}{label}"
        if len(body) <= BODY_LIMIT and size + len(body) <= TOTAL_LIMIT and name not in derived:
            derived[name] = DerivedRequest(name, body, content_type)
            size += len(body)
        if len(derived) == LIMIT:
            break
    return tuple(derived.values())


def _serialised(derived: Derived) -> Iterator[tuple[str, str, str]]:
    return ((label, json.dumps(request), JSON_TYPE) for label, request in derived)


def _other_formats(signature: Mapping[str, Any] | None, example: object) -> Iterator[tuple[str, str, str]]:
    """Yield the example in the other formats, if it has columns."""
    specs = signature_specs(signature, "inputs") or []
    if not (specs and type_of(specs[0]) == "tensor") and (table := read_table(example, specs)) is not None:
        yield from other_formats(table)


def _malformed(example: object) -> Iterator[tuple[str, str, str]]:
    """Yield bodies that are no request of MLflow's server."""
    return ((label, body, JSON_TYPE) for label, body in _malformed_bodies(example))


def _malformed_bodies(example: object) -> Iterator[tuple[str, str]]:
    whole = json.dumps(example if isinstance(example, dict) else {"inputs": [1]})
    yield "body cut off", whole[: max(1, len(whole) * 2 // 3)][:1000]
    yield "empty body", ""
    yield "a list as body", "[]"
    yield "an object without input", "{}"
    yield "two inputs", '{"inputs": [1], "instances": [1]}'
    if field := input_field(example):
        yield f"null as {field}", json.dumps({field: None})


def _from_signature(signature: Mapping[str, Any] | None, example: object) -> Derived:
    specs = signature_specs(signature, "inputs") or []
    if specs and type_of(specs[0]) == "tensor":
        yield from tensor_requests(specs, example)
        yield from _params(signature_specs(signature, "params") or [], example)
        return
    table = read_table(example, specs)
    if example is None and specs:
        table = empty_table(_columns(specs, tuple(_keys(specs))))
    columns = () if table is None else _columns(specs, table.keys)
    if table is not None:
        yield from _batches(table)
        yield from _of_columns(table, columns)
        sampled = _sample(columns)
        for column in sampled:
            yield from _of_column(table, column)
        if sampled and table.has_batches and len(table.rows) > 1:
            rows: list[Row] = [*table.rows[:1], {**table.rows[1], sampled[0].key: None}]
            label = f"{_shown(table, sampled[0])} is null in one of two rows"
            yield label, table.written(rows, _with(table, sampled[0]))
    yield from _params(signature_specs(signature, "params") or [], example)
    if table is not None:
        # One value of each type in turn, so that a limit leaves out the least important of every type.
        kinds = {type_of(column.spec): column for column in reversed(columns)}
        of_kinds = [_boundaries(table, kinds[kind]) for kind in sorted(kinds)]
        yield from (item for turn in zip_longest(*of_kinds) for item in turn if item is not None)


def _keys(specs: Sequence[Mapping[str, Any]]) -> Iterator[Any]:
    return (spec.get("name", position) for position, spec in enumerate(specs))


def _columns(specs: Sequence[Mapping[str, Any]], keys: Sequence[Any]) -> tuple[TableColumn, ...]:
    """The columns of the signature with their keys in a row: their names, or those of the example by position."""
    if keys == (None,) and len(specs) > 1:  # rows without names, whose values have types by position
        return ()
    columns = []
    for position, spec in enumerate(specs):
        named = spec.get("name") is not None and keys != (None,)
        if not named and position >= len(keys):
            break
        required = bool(spec.get("required", not spec.get("optional", False)))
        columns.append(TableColumn(key=spec["name"] if named else keys[position], spec=spec, required=required))
    return tuple(columns)


def _sample(columns: Sequence[TableColumn]) -> tuple[TableColumn, ...]:
    """The first column of each type, required and optional, and others evenly spread, in their order."""
    chosen = {(type_of(column.spec), column.required): column for column in reversed(columns)}
    keys = {column.key for column in islice(reversed(chosen.values()), _SAMPLED_COLUMNS)}
    last = len(columns) - 1
    spread = (round(number * last / (_SAMPLED_COLUMNS - 1)) for number in range(_SAMPLED_COLUMNS))
    for position in spread if columns else ():
        if len(keys) < _SAMPLED_COLUMNS:
            keys.add(columns[position].key)
    return tuple(column for column in columns if column.key in keys)


def _batches(table: RequestTable) -> Derived:
    if not table.has_batches:
        return
    yield "one row", table.written(table.rows[:1])
    yield "empty batch", table.written(())
    size = max(1, len(json.dumps(table.written(table.rows[:1]))))
    rows = min(LARGE_BATCH, BODY_LIMIT // size)
    if rows > len(table.rows):
        repeated = tuple(table.rows[number % len(table.rows)] for number in range(rows))
        yield f"batch of {rows} rows", table.written(repeated)


def _of_columns(table: RequestTable, columns: Sequence[TableColumn]) -> Derived:
    """Yield requests about all columns together."""
    if table.format is RequestFormat.VALUES:
        return
    row = table.rows[0]
    if len(row) > 1:
        backwards = {key: row[key] for key in reversed(list(row))}
        yield "columns in reverse order", table.written([backwards], tuple(backwards))
    extra = {**row, UNKNOWN: 1}
    yield "an extra column", table.written([extra], tuple(extra))
    if optional := [column.key for column in columns if not column.required]:
        without = {key: value for key, value in row.items() if key not in optional}
        yield "no optional column", table.written([without], tuple(without))


def _of_column(table: RequestTable, column: TableColumn) -> Derived:
    name = _shown(table, column)
    row = table.rows[0]
    if table.format is not RequestFormat.VALUES:
        without = {key: value for key, value in row.items() if key != column.key}
        yield f"{name} missing", table.written([without], tuple(without))
    yield _changed(table, column, LabelledValue("null", None))
    yield _changed(table, column, mistyped_value(column.spec))


def _boundaries(table: RequestTable, column: TableColumn) -> Derived:
    for value in boundary_values(column.spec, table.rows[0].get(column.key)):
        yield _changed(table, column, value)


def _changed(table: RequestTable, column: TableColumn, value: LabelledValue) -> tuple[str, Any]:
    row = {**table.rows[0], column.key: value.value}
    return f"{_shown(table, column)} is {value.label}", table.written([row], _with(table, column))


def _with(table: RequestTable, column: TableColumn) -> tuple[Any, ...]:
    return tuple(dict.fromkeys((*table.keys, column.key)))


def _shown(table: RequestTable, column: TableColumn) -> str:
    if table.format is RequestFormat.VALUES:
        return "the value"
    return f"column {shown_name(column.key)}"


def shown_name(name: object) -> str:
    """A name in quotes, shortened."""
    text = ascii(name)
    return text if len(text) <= _LONGEST_NAME else f"{text[:_LONGEST_NAME]}..."


def _params(specs: Sequence[Mapping[str, Any]], example: object) -> Derived:
    """Yield requests with other parameters; those of a chat model are fields of the request itself."""
    if not isinstance(example, dict) or input_field(example) is None:
        return
    if not specs:
        if PARAMS not in example:
            yield "a parameter that the signature lacks", {**example, PARAMS: {UNKNOWN: 1}}
        return
    given = example.get(PARAMS)
    params = given if isinstance(given, dict) else {}
    yield "no params", {key: value for key, value in example.items() if key != PARAMS}
    defaults = {str(spec.get("name")): spec.get("default") for spec in specs}
    yield "params with their defaults", {**example, PARAMS: defaults}
    yield "an unknown parameter", {**example, PARAMS: {**params, UNKNOWN: 1}}
    yield "params that are a list", {**example, PARAMS: [1]}
    for spec in specs[:_SAMPLED_PARAMS]:
        name = str(spec.get("name"))
        for value in _param_values(spec):
            label = f"parameter {shown_name(name)} is {value.label}"
            yield label, {**example, PARAMS: {**params, name: value.value}}


def _param_values(spec: Mapping[str, Any]) -> Iterable[LabelledValue]:
    mistyped = mistyped_value(spec)
    if spec.get("shape") is not None:
        return (
            LabelledValue("null", None),
            LabelledValue("a value, not a list", mistyped.value),
            LabelledValue("an empty list", []),
            LabelledValue(f"a list with {mistyped.label}", [mistyped.value]),
        )
    boundaries = islice(boundary_values(spec, spec.get("default")), 3)
    return (LabelledValue("null", None), mistyped, *boundaries)
