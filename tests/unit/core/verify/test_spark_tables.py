"""Which requests a function of Spark SQL can answer, and of which type its predictions are."""

from typing import Any

import pytest

from mlflow_uv.core.verify.spark_tables import SparkRequest, spark_requests

TABLE = {"dataframe_split": {"columns": ["x"], "data": [[1.0], [2.0]]}}


def types(*predictions: Any) -> list[str]:
    """The result type of each answer with these predictions, for those that Spark can give."""
    selected, _ = spark_requests([TABLE] * len(predictions), [{"predictions": list(each)} for each in predictions])
    return [request.result_type for request in selected]


@pytest.mark.parametrize(
    ("predictions", "result_type"),
    [
        ([1, 2], "bigint"),
        ([1.5, 2.0], "double"),
        ([1, 2.5], "double"),
        (["a", "b"], "string"),
        ([True, False], "boolean"),
        ([[1, 2], [3, 4]], "array<bigint>"),
        ([[0.5, 1], [3, 4]], "array<double>"),
        ([[[1.0]], [[2.0]]], "array<array<double>>"),
        ([{"a": 1, "b c": "x"}, {"a": 2, "b c": "y"}], "struct<`a`:bigint,`b c`:string>"),
    ],
)
def test_the_type_is_that_of_all_predictions(predictions: list[Any], result_type: str) -> None:
    """
    Integers among floats are floats, as JSON writes both.
    """
    assert [result_type] == types(predictions)


@pytest.mark.parametrize(
    "predictions", [[1, "a"], [True, 1], [None, 1.0], [[1], "a"], [{"a": 1}, {"b": 1}], [{}, {}], []]
)
def test_predictions_without_a_common_type_are_left_out(predictions: list[Any]) -> None:
    """
    A column of Spark has one type.
    """
    selected, why = spark_requests([TABLE], [{"predictions": predictions}])

    assert () == selected
    assert why.startswith(("the predictions of request 1", "request 1 is not a table"))


@pytest.mark.parametrize(
    ("request_body", "answer"),
    [
        ({"inputs": [[1.0]]}, {"predictions": [1]}),
        ({"messages": []}, {"choices": []}),
        (TABLE, [1, 2]),
        (TABLE, {"predictions": "one text"}),
    ],
)
def test_what_is_no_table_is_left_out_with_the_reason(request_body: Any, answer: Any) -> None:
    """
    The requests that are left keep their own answers.
    """
    selected, why = spark_requests([request_body, TABLE], [answer, {"predictions": [1, 2]}])

    assert (SparkRequest(request=TABLE, answer={"predictions": [1, 2]}, result_type="bigint"),) == selected
    assert "request 1 is not a table with a prediction for each row" == why
