"""Which requests are derived from a signature and an example."""

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from mlflow_uv.core.model.derived_requests import BODY_LIMIT, LARGE_BATCH, LIMIT, PREFIX, TOTAL_LIMIT, derive_requests

FORMATS = 4  # of a table besides its own
MALFORMED = [
    "body cut off",
    "empty body",
    "a list as body",
    "an object without input",
    "two inputs",
    "null as dataframe_split",
]


def signature(*inputs: Mapping[str, Any], params: Sequence[Mapping[str, Any]] = ()) -> dict[str, Any]:
    """A signature as an MLmodel file holds it."""
    return {"inputs": json.dumps(inputs), "outputs": None, "params": json.dumps(params) if params else None}


def column(kind: str | Mapping[str, Any], name: str | None = "age", *, required: bool = True) -> dict[str, Any]:
    """A column of a signature."""
    spec = {"type": kind} if isinstance(kind, str) else dict(kind)
    return {**spec, **({} if name is None else {"name": name}), "required": required}


def split(columns: Sequence[Any], *rows: Sequence[Any]) -> dict[str, Any]:
    """An example with a table."""
    return {"dataframe_split": {"columns": list(columns), "data": [list(row) for row in rows]}}


def derived(about: Mapping[str, Any] | None, example: object, *, without: Sequence[str] = MALFORMED) -> dict[str, Any]:
    """The derived requests by what is special about each, without malformed ones and other formats."""
    found = {item.name.removeprefix(PREFIX): item.body for item in derive_requests(about, example)}
    return {
        name: json.loads(body) for name, body in found.items() if name not in without and not name.startswith("as ")
    }


def values(kind: str | Mapping[str, Any], value: Any) -> dict[str, Any]:
    """What a single column holds in the requests about it, by what they say of it."""
    found = derived(signature(column(kind)), split(["age"], [value]))
    start = "column 'age' is "
    return {
        name.removeprefix(start): request["dataframe_split"]["data"][0][0]
        for name, request in found.items()
        if name.startswith(start)
    }


def test_a_table_is_varied_as_a_whole_and_column_by_column() -> None:
    """
    Batches first, then columns, then values; the name says what is special about each.
    """
    about = signature(column("double", "age"), column("string", "colour", required=False))

    found = derived(about, split(["age", "colour"], [1.5, "red"], [2.5, "blue"]))

    assert [
        "one row",
        "empty batch",
        f"batch of {LARGE_BATCH} rows",
        "columns in reverse order",
        "an extra column",
        "no optional column",
        "column 'age' missing",
        "column 'age' is null",
        "column 'age' is text",
        "column 'colour' missing",
        "column 'colour' is null",
        "column 'colour' is a number",
        "column 'age' is null in one of two rows",
        "a parameter that the signature lacks",
    ] == list(found)[:14]
    assert split(["age", "colour"], [1.5, "red"]) == found["one row"]
    assert split(["age", "colour"]) == found["empty batch"]
    assert split(["colour", "age"], ["red", 1.5]) == found["columns in reverse order"]
    assert split(["age"], [1.5]) == found["no optional column"]
    assert split(["colour"], ["red"]) == found["column 'age' missing"]
    assert split(["age", "colour"], [1.5, "red"], [None, "blue"]) == found["column 'age' is null in one of two rows"]
    large = found[f"batch of {LARGE_BATCH} rows"]["dataframe_split"]["data"]
    assert (LARGE_BATCH, [1.5, "red"], [2.5, "blue"]) == (len(large), large[0], large[-1])


def test_every_model_gets_bodies_that_are_no_request() -> None:
    """
    They are exact texts, which no JSON could hold.
    """
    found = {item.name: item.body for item in derive_requests(None, split(["age"], [1]))}

    assert [f"{PREFIX}{name}" for name in MALFORMED] == list(found)[: len(MALFORMED)]
    assert '{"dataframe_split": {"columns": [' == found["derived: body cut off"][:33]
    assert ("", "[]", "{}") == tuple(
        found[f"derived: {name}"] for name in ("empty body", "a list as body", "an object without input")
    )


@pytest.mark.parametrize(
    ("kind", "value", "expected"),
    [
        ("boolean", True, {"null": None, "false": False, "true": True, "1 instead of true": 1}),
        ("integer", 1, {"the smallest integer": -(2**31), "the largest integer": 2**31 - 1, "a fraction": 1.5}),
        ("integer", 1, {"larger than any integer": 2**31, "a whole number with a decimal point": 2.0}),
        ("long", 1, {"the smallest long": -(2**63), "the largest long": 2**63 - 1, "larger than any long": 2**63}),
        ("float", 1.5, {"the largest float": 3.4028234663852886e38, "larger than any float": 1e39, "an integer": 7}),
        ("double", 1.5, {"infinity": math.inf, "negative infinity": -math.inf, "the smallest positive double": 5e-324}),
        ("double", 1.5, {"the largest double": 1.7976931348623157e308, "the lowest double": -1.7976931348623157e308}),
        ("string", "x", {"a number": 7, "an empty text": "", "a text of 10000 characters": "x" * 10_000}),
        ("binary", "YQ==", {"bytes beyond ASCII": "AH+A/w==", "no bytes": "", "a number": 7}),
        ("datetime", "2026-01-01", {"a time without a zone": "2026-02-28T23:59:59.123456", "a number": 0}),
        (
            "datetime",
            "2026-01-01",
            {"a time in a zone": "2026-02-28T23:59:59+05:30", "a date without a time": "2026-02-28"},
        ),
        ("datetime", "2026-01-01", {"a day that does not exist": "2026-02-30T00:00:00"}),
        ("any", "x", {"null": None, "an object": {"key": [1, None]}, "a list": ["text", 1]}),
        (
            {"type": "array", "items": {"type": "string"}},
            ["a", "b"],
            {"an empty list": [], "a list with a null": ["a", None], "a list with a number": ["a", 7]},
        ),
        (
            {"type": "array", "items": {"type": "double"}},
            [1.5],
            {"a number, not a list": 7, "a list of lists": [[1.5]]},
        ),
        (
            {"type": "object", "properties": {"a": {"type": "long", "required": True}, "b": {"type": "string"}}},
            {"a": 3, "b": "x"},
            {
                "an empty object": {},
                "an object without 'a'": {"b": "x"},
                "an object with an unknown property": {"a": 3, "b": "x", "mlflow_uv_unknown": 1},
                "an object with text as 'a'": {"a": "not a value of this type", "b": "x"},
                "an object with null as 'b'": {"a": 3, "b": None},
            },
        ),
        (
            {"type": "map", "values": {"type": "double"}},
            {"k": 1.5},
            {"an empty object": {}, "an object with a null": {"key": None}, "a list, not an object": [1]},
        ),
    ],
)
def test_each_type_gets_its_extremes_and_values_of_other_types(
    kind: str | Mapping[str, Any], value: Any, expected: dict[str, Any]
) -> None:
    """
    At the limits and just beyond; MLflow decides which are allowed.
    """
    found = values(kind, value)

    assert expected == {name: found.get(name, "absent") for name in expected}


def test_not_a_number_is_written_as_mlflow_reads_it() -> None:
    """
    JSON has no NaN; the parser of the server takes Python's.
    """
    found = values("double", 1.5)

    assert math.isnan(found["NaN"])


@pytest.mark.parametrize(
    ("example", "row", "empty"),
    [
        ({"dataframe_records": [{"age": 1.5}]}, {"dataframe_records": [{"age": None}]}, {"dataframe_records": []}),
        ({"inputs": {"age": [1.5, 2.5]}}, {"inputs": {"age": [None]}}, {"inputs": {"age": []}}),
        ({"inputs": [{"age": 1.5}]}, {"inputs": [{"age": None}]}, {"inputs": []}),
        ({"instances": [{"age": 1.5}]}, {"instances": [{"age": None}]}, {"instances": []}),
        ({"inputs": {"age": 1.5}}, {"inputs": {"age": None}}, None),
        ({"age": 1.5}, {"age": None}, None),
        (None, split(["age"], [None]), split(["age"])),
    ],
)
def test_a_request_is_written_as_the_example_is(example: Any, row: Any, empty: Any) -> None:
    """
    The formats of MLflow's server, and the fields of a chat request; one row has no empty batch.
    """
    found = derived(signature(column("double")), example)

    assert (row, empty) == (found["column 'age' is null"], found.get("empty batch"))


def test_one_column_without_a_name_is_a_list_of_values() -> None:
    """
    As a model has it that takes texts, or one with a type hint.
    """
    found = derived(signature(column("string", None)), {"inputs": ["a", "b"]})

    assert ({"inputs": ["a"]}, {"inputs": []}) == (found["one row"], found["empty batch"])
    assert ({"inputs": [None]}, {"inputs": [7]}) == (found["the value is null"], found["the value is a number"])
    assert not any("missing" in name for name in found)


def test_columns_without_names_are_those_of_the_example_by_position() -> None:
    """
    A table of arrays has numbers as names.
    """
    about = signature(column("double", None), column("double", None))

    found = derived(about, split([0, 1], [1.5, 2.5]))

    assert split([1], [2.5]) == found["column 0 missing"]
    assert split([0, 1], [1.5, None]) == found["column 1 is null"]


def test_parameters_are_left_out_and_given_with_defaults_and_with_other_types() -> None:
    """
    Those of the example stay where nothing is said of them.
    """
    params: list[dict[str, Any]] = [
        {"name": "top", "type": "long", "default": 3, "shape": None},
        {"name": "words", "type": "string", "default": ["a"], "shape": [-1]},
    ]
    example = {"inputs": {"age": [1.5]}, "params": {"top": 5}}

    found = derived(signature(column("double"), params=params), example)

    assert {"inputs": {"age": [1.5]}} == found["no params"]
    parameters = {name: request["params"] for name, request in found.items() if "param" in name and name != "no params"}
    assert {"top": 3, "words": ["a"]} == parameters["params with their defaults"]
    assert {"top": 5, "mlflow_uv_unknown": 1} == parameters["an unknown parameter"]
    assert [1] == parameters["params that are a list"]
    assert {"top": "not a value of this type"} == parameters["parameter 'top' is text"]
    assert {"top": 2**63 - 1} == parameters["parameter 'top' is the largest long"]
    assert {"top": 5, "words": 7} == parameters["parameter 'words' is a value, not a list"]
    assert {"top": 5, "words": [7]} == parameters["parameter 'words' is a list with a number"]


def test_requests_are_few_small_and_always_the_same() -> None:
    """
    Of a wide table some columns are taken, the first and the last among them.
    """
    names = [f"c{number}" for number in range(600)]
    about = signature(*(column("double", name) for name in names))
    example = split(names, *[[0.123456789] * 600] * 3)

    found, again = (derive_requests(about, example) for _ in range(2))

    missing = [item.name for item in found if item.name.endswith("missing")]
    assert found == again
    assert len(found) <= LIMIT
    assert max(len(item.body) for item in found) <= BODY_LIMIT
    assert sum(len(item.body) for item in found) <= TOTAL_LIMIT
    assert [f"derived: column 'c{number}' missing" for number in (0, 120, 240, 359, 479, 599)] == missing


def test_a_limit_leaves_out_the_least_important_of_every_type() -> None:
    """
    The first extreme of each type is among the requests, however many types there are.
    """
    kinds = ("boolean", "integer", "long", "float", "double", "string", "binary", "datetime", "any")
    about = signature(*(column(kind, kind) for kind in kinds))
    row = [True, 1, 1, 1.5, 1.5, "x", "YQ==", "2026-01-01T00:00:00", "x"]

    found = derived(about, split(kinds, row))

    assert len(found) + len(MALFORMED) + FORMATS == LIMIT
    assert {"column 'double' is NaN", "column 'datetime' is a time without a zone", "column 'any' is a number"} <= set(
        found
    )


def test_an_example_too_large_for_variants_leaves_the_small_requests() -> None:
    """
    What travels in the model is bounded, whatever the example is.
    """
    found = derived(signature(column("string")), split(["age"], ["x" * BODY_LIMIT]))

    assert "empty batch" in found
    assert "one row" not in found


@pytest.mark.parametrize(
    "example",
    [
        {"inputs": "a text"},
        {"inputs": []},
        {"dataframe_split": {"columns": [["a", "b"]], "data": [[1]]}},
        {"dataframe_split": {"columns": ["a", "a"], "data": [[1, 2]]}},
        {"dataframe_split": []},
        {"dataframe_records": []},
        {"inputs": [1], "instances": [1]},
        [],
        7,
    ],
    ids=str,
)
def test_an_example_of_another_format_still_gets_malformed_bodies(example: object) -> None:
    """
    What cannot be varied is left alone.
    """
    found = [item.name for item in derive_requests(signature(column("double")), example)]

    assert "derived: empty body" in found
    assert "derived: one row" not in found


def test_a_model_without_a_signature_gets_batches_of_its_example() -> None:
    """
    Nothing is known of its columns.
    """
    found = derived(None, split(["a", "b"], [1, 2]))

    assert ["one row", "empty batch", f"batch of {LARGE_BATCH} rows", "columns in reverse order"] == list(found)[:4]


def test_a_signature_that_is_none_is_an_error() -> None:
    """
    With what is wrong with it.
    """
    with pytest.raises(ValueError, match="not JSON"):
        derive_requests({"inputs": "["}, None)
