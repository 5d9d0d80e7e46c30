"""In which formats the rows of a request are written again."""

import json
from typing import Any

import pytest

from mlflow_uv.core.model.derived_formats import other_formats
from mlflow_uv.core.model.request_tables import read_table

ROWS = [{"x": 1.5, "word": 'a "b", c'}, {"x": None, "word": ""}]
SPLIT = {"dataframe_split": {"columns": ["x", "word"], "data": [[1.5, 'a "b", c'], [None, ""]]}}


def formats_of(request: dict[str, Any], *specs: dict[str, Any]) -> dict[str, tuple[Any, str]]:
    """The formats of a request by label: JSON or text, and the media type."""
    table = read_table(request, specs or [{"name": "x"}, {"name": "word"}])
    assert table is not None
    return {
        label: (json.loads(body) if kind == "application/json" else body, kind)
        for label, body, kind in other_formats(table)
    }


def test_rows_are_written_in_every_other_format() -> None:
    """
    With the same columns in the same order; a missing value is empty in CSV.
    """
    formats = formats_of(SPLIT)

    kind = "application/json"
    assert {
        "as dataframe_records": ({"dataframe_records": ROWS}, kind),
        "as instances": ({"instances": ROWS}, kind),
        "as inputs": ({"inputs": {"x": [1.5, None], "word": ['a "b", c', ""]}}, kind),
        "as CSV": ('x,word\n1.5,"a ""b"", c"\n,\n', "text/csv"),
    } == formats


@pytest.mark.parametrize("request_", [{"dataframe_records": ROWS}, {"inputs": {"x": [1], "word": ["a"]}}])
def test_the_format_of_the_request_itself_is_left_out(request_: dict[str, Any]) -> None:
    """
    It is sent anyway.
    """
    formats = formats_of(request_)

    assert f"as {next(iter(request_))}" not in formats
    assert 4 == len(formats)


def test_csv_is_left_out_for_what_it_cannot_express() -> None:
    """
    Parameters have no place in it, and neither have lists.
    """
    with_params = formats_of({**SPLIT, "params": {"k": 1}})
    nested = formats_of({"dataframe_records": [{"x": [1], "word": "a"}]})

    assert [False, False] == ["as CSV" in formats for formats in (with_params, nested)]
    assert {"k": 1} == with_params["as instances"][0]["params"]


def test_rows_without_names_have_one_format() -> None:
    """
    Values of a tensor or of one unnamed column are no table.
    """
    assert {} == formats_of({"inputs": [1, 2]}, {"type": "long"})
