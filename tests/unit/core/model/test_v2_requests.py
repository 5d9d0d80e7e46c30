"""Tests how recorded requests are expressed in V2, and how its responses become predictions."""

import json
from typing import Any

import pytest

from mlflow_uv.core.model.v2_requests import v2_predictions, v2_requests

COLUMNS = (
    {"name": "a", "datatype": "INT32", "shape": [-1], "parameters": {"content_type": "np"}},
    {"name": "b", "datatype": "BYTES", "shape": [-1], "parameters": {"content_type": "str"}},
)
TENSOR = ({"name": "input-0", "datatype": "FP32", "shape": [-1, 2]},)
ANSWER = {"predictions": [1.0]}
TABLE = [
    {"name": "a", "datatype": "INT32", "shape": [2], "data": [1, 2], "parameters": {"content_type": "np"}},
    {"name": "b", "datatype": "BYTES", "shape": [2], "data": ["ü", None], "parameters": {"content_type": "str"}},
]


@pytest.mark.parametrize(
    ("request_", "described", "expected"),
    [
        ({"dataframe_split": {"columns": ["a", "b"], "data": [[1, "ü"], [2, None]]}}, COLUMNS, TABLE),
        ({"dataframe_records": [{"a": 1, "b": "ü"}, {"a": 2, "b": None}]}, COLUMNS, TABLE),
        (
            {"inputs": [[1, 2.5], [3.0, None]]},
            TENSOR,
            [{"name": "input-0", "datatype": "FP32", "shape": [2, 2], "data": [1, 2.5, 3.0, None]}],
        ),
        ({"instances": [True]}, (), [{"name": "input-0", "datatype": "BOOL", "shape": [1], "data": [True]}]),
        (
            {"inputs": {"x": [[1], [2]], "y": [0.5, 1]}},
            (),
            [
                {"name": "x", "datatype": "INT64", "shape": [2, 1], "data": [1, 2]},
                {"name": "y", "datatype": "FP64", "shape": [2], "data": [0.5, 1]},
            ],
        ),
        (
            {"dataframe_records": [{"tags": ["a"]}]},
            ({"name": "tags", "datatype": "BYTES", "shape": [-1], "parameters": {"content_type": "pd_json"}},),
            [
                {
                    "name": "tags", "datatype": "BYTES", "shape": [1], "data": ['["a"]'],
                    "parameters": {"content_type": "pd_json"},
                }
            ],
        ),
    ],
    ids=["split", "records", "tensor", "instances", "named", "nested"],
)  # fmt: skip
def test_a_table_or_tensors_are_inputs_with_the_datatypes_of_the_metadata(
    request_: object, described: tuple[dict[str, Any], ...], expected: list[dict[str, Any]]
) -> None:
    """
    Without metadata, with those of the values.
    """
    (found,), why = v2_requests([request_], [ANSWER], described)

    assert (expected, 1, ANSWER, "") == (found.body["inputs"], found.number, found.answer, why)


@pytest.mark.parametrize(
    ("request_", "answer"),
    [
        ({"messages": []}, ANSWER),
        ({"dataframe_records": [{"a": 1}, {"b": 1}]}, ANSWER),
        ({"dataframe_records": []}, ANSWER),
        ({"inputs": [[1], [2, 3]]}, ANSWER),
        ({"inputs": [1, "a"]}, ANSWER),
        ({"inputs": "text"}, ANSWER),
        ({"inputs": [1, None]}, {"choices": []}),
        ({"dataframe_split": {"columns": ["a"], "data": [[1.5]]}}, ANSWER),
        ([1], ANSWER),
    ],
    ids=json.dumps,
)
def test_what_v2_cannot_express_is_not_sent(request_: object, answer: object) -> None:
    """
    The reason names the first such request; a fraction is no INT32.
    """
    good = {"dataframe_records": [{"a": 1, "b": "x"}]}

    found, why = v2_requests([good, request_], [ANSWER, answer], COLUMNS)

    assert ([1], "request 2 is not a table or tensors, or has values that V2 cannot express") == (
        [request.number for request in found], why,
    )  # fmt: skip


def test_params_are_parameters() -> None:
    """
    Beside the content type of a table.
    """
    (found,), _ = v2_requests([{"dataframe_records": [{"a": 1}], "params": {"k": 2}}], [ANSWER], ())

    assert {"k": 2, "content_type": "pd"} == found.body["parameters"]


def output(data: list[Any], shape: list[int], name: str = "output-0", content: str = "np") -> dict[str, Any]:
    """An output of a response."""
    return {"name": name, "datatype": "FP64", "shape": shape, "data": data, "parameters": {"content_type": content}}


@pytest.mark.parametrize(
    ("outputs", "recorded"),
    [
        ([output([1.5, 2.5], [2])], [1.5, 2.5]),
        ([output([1.5, 2.5], [2, 1])], [1.5, 2.5]),
        ([output([1.5, 2.5], [2, 1])], [[1.5], [2.5]]),
        ([output([1, 2, 3, 4], [2, 2])], [[1, 2], [3, 4]]),
        ([output([[1, 2], [3, 4]], [2, 2])], [[1, 2], [3, 4]]),
        ([output([1.5], [1])], 1.5),
        ([output([1, 2], [2], "a"), output(["x", "y"], [2], "b")], [{"a": 1, "b": "x"}, {"a": 2, "b": "y"}]),
        ([output([1, 2], [2], "a"), output([3], [1], "b")], {"a": [1, 2], "b": 3}),
        ([output(['{"a": [1]}'], [1], content="pd_json")], [{"a": [1]}]),
    ],
    ids=str,
)
def test_outputs_are_predictions_in_the_form_of_the_recorded_ones(
    outputs: list[dict[str, Any]], recorded: object
) -> None:
    """
    A list, a table or named tensors.
    """
    assert {"predictions": recorded} == v2_predictions({"outputs": outputs}, {"predictions": recorded})


@pytest.mark.parametrize(
    ("outputs", "recorded"),
    [
        ([output([1.5, 9.0], [2])], [1.5, 2.5]),
        ([output([1.5], [1])], [1.5, 2.5]),
        ([output([2, 1], [2], "a"), output(["x", "y"], [2], "b")], [{"a": 1, "b": "x"}, {"a": 2, "b": "y"}]),
    ],
    ids=str,
)
def test_other_outputs_are_other_predictions(outputs: list[dict[str, Any]], recorded: object) -> None:
    """
    Values and rows are never taken from the recorded answer.
    """
    assert {"predictions": recorded} != v2_predictions({"outputs": outputs}, {"predictions": recorded})


@pytest.mark.parametrize(
    "response",
    [
        {},
        [],
        {"outputs": []},
        {"outputs": [{"name": "a"}]},
        {"outputs": [output([1], [2])]},
        {"outputs": [output([1], [1], "a"), output([1], [1], "b")]},
        {"outputs": [output(["{"], [1], content="pd_json")]},
        {"outputs": [output([1], [-1])]},
    ],
    ids=json.dumps,
)
def test_a_malformed_response_is_refused(response: object) -> None:
    """
    With a reason, and no traceback.
    """
    with pytest.raises(ValueError, match=r"."):
        v2_predictions(response, {"predictions": [1.0]})
