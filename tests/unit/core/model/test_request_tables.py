"""Tables in requests: read from every format of MLflow's server, and written in the same one."""

from typing import Any

import pytest

from mlflow_uv.core.model.request_tables import RequestFormat, input_field, read_table

COLUMN = {"type": "double", "name": "age"}


@pytest.mark.parametrize(
    ("request_", "table_format"),
    [
        ({"dataframe_split": {"columns": ["age"], "data": [[1], [2]]}, "params": {"p": 1}}, RequestFormat.SPLIT),
        ({"dataframe_records": [{"age": 1}, {"age": 2}]}, RequestFormat.RECORDS),
        ({"inputs": {"age": [1, 2]}}, RequestFormat.COLUMNS),
        ({"instances": [{"age": 1}, {"age": 2}]}, RequestFormat.RECORDS),
        ({"inputs": {"age": 1}}, RequestFormat.SINGLE),
        ({"age": 1, "other": 2}, RequestFormat.FIELDS),
        ({"inputs": [1, 2]}, RequestFormat.VALUES),
    ],
)
def test_a_table_is_written_as_it_was_read(request_: Any, table_format: RequestFormat) -> None:
    """
    With the other fields of the request.
    """
    table = read_table(request_, [COLUMN])

    assert table is not None
    assert (table_format, request_) == (table.format, table.written(table.rows))


@pytest.mark.parametrize("request_", [{"inputs": "x"}, {"inputs": []}, {"other": 1}, [], None], ids=str)
def test_what_has_no_rows_is_no_table(request_: Any) -> None:
    """
    Another format, or none.
    """
    assert read_table(request_, [COLUMN]) is None


def test_the_input_is_in_exactly_one_field() -> None:
    """
    As MLflow's server requires.
    """
    requests: tuple[Any, ...] = ({"inputs": 1, "params": 2}, {"inputs": 1, "instances": 2}, {"age": 1})

    assert ["inputs", None, None] == list(map(input_field, requests))
