"""The columns of a request: turned around, and whole numbers with gaps."""

from typing import Any

import pytest

from mlflow_uv.core.model.columns import as_floats, integers_with_gaps, is_about_integers_with_gaps, reordered

NAN = float("nan")


@pytest.mark.parametrize(
    ("request_", "other"),
    [
        (
            {"dataframe_split": {"columns": ["a", "b", "c"], "data": [[1, 2, 3], [4, 5, 6]], "index": [0, 1]}},
            {"dataframe_split": {"index": [0, 1], "columns": ["c", "b", "a"], "data": [[3, 2, 1], [6, 5, 4]]}},
        ),
        ({"dataframe_records": [{"a": 1, "b": 2}]}, {"dataframe_records": [{"b": 2, "a": 1}]}),
        ({"dataframe_split": {"columns": ["a"], "data": [[1]]}}, None),
        ({"dataframe_records": [{"a": 1}]}, None),
        ({"dataframe_records": []}, None),
        ({"inputs": [[1, 2]]}, None),
        ({"messages": []}, None),
        ([1, 2], None),
    ],
)
def test_a_table_with_its_columns_turned_around_holds_the_same(request_: Any, other: Any) -> None:
    """
    Names go with their values; what has no names, or one, has no other order.
    """
    turned = reordered(request_)

    assert (other, str(other)) == (turned, str(turned))


def test_whole_numbers_with_gaps_are_found_by_column() -> None:
    """
    Floats with gaps, whole columns, text and empty columns are none.
    """
    split = {
        "dataframe_split": {
            "columns": ["rooms", "size", "age", "name", "none", "beds"],
            "data": [[1, 1.5, 3, "a", None, 2.0], [None, None, 4, None, None, NAN]],
        }
    }
    records = {"dataframe_records": [{"floor": 1, "x": 0.5}, {"x": 1}]}

    assert ("rooms", "beds", "floor") == integers_with_gaps([split, records, {"inputs": [1, None]}])
    assert "X = X.astype({'rooms': 'float64', 'beds': 'float64'})" == as_floats(("rooms", "beds"))
    assert "X = X.astype('float64')" == as_floats(())


@pytest.mark.parametrize(
    ("message", "about"),
    [
        ("Failed to enforce schema of data ... Error: cannot convert NA to integer", True),
        ('IntCastingNaNError("Cannot convert non-finite values (NA or inf) to integer.', True),
        ("Incompatible input types for column rooms. Can not safely convert float64 to int64.", True),
        ("ValueError: could not convert string to float: 'red'", False),
    ],
)
def test_an_error_about_a_missing_integer_is_known(message: str, about: bool) -> None:
    """
    MLflow 3, pandas and MLflow 2 say it in words of their own.
    """
    assert about is is_about_integers_with_gaps(message)
