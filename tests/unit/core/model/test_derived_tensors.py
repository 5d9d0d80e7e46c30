"""Requests that are derived for tensors: other batches, shapes, types and extremes."""

import math
from collections.abc import Mapping
from typing import Any

from mlflow_uv.core.model.derived_tensors import tensor_requests


def specs(*inputs: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The tensors of a signature."""
    return list(inputs)


def sent(about: list[Mapping[str, Any]], example: object) -> dict[str, Any]:
    """The requests by what is special about each."""
    return dict(tensor_requests(about, example))


def test_an_unnamed_tensor_gets_other_batches_shapes_and_numbers() -> None:
    """
    The dimension of any length is the batch; the others are the shape.
    """
    about = specs({"type": "tensor", "tensor-spec": {"dtype": "float32", "shape": [-1, 2]}})

    found = {
        name: request["inputs"]
        for name, request in sent(about, {"inputs": [[1.5, 2.5], [3.5, 4.5]]}).items()
        if "inputs" in request
    }

    assert ([[1.5, 2.5]], [], [[1.5, 2.5]] * 64) == (
        found["one item"],
        found["empty batch"],
        found["batch of 64 items"],
    )
    assert [[[1.5, 2.5], [3.5, 4.5]]] == found["the tensor with one more dimension"]
    assert [1.5, 2.5] == found["the tensor with one dimension less"]
    assert [[1.5], [3.5]] == found["the tensor with too few values"]
    assert [[1.5, 2.5], [3.5, 4.5], [1.5]] == found["the tensor with rows of different lengths"]
    assert [["text", 2.5], [3.5, 4.5]] == found["the tensor with text"]
    assert [[None, 2.5], [3.5, 4.5]] == found["the tensor with null"]
    assert math.isnan(found["the tensor with NaN"][0][0])


def test_named_tensors_are_missing_one_by_one_and_share_the_length_of_a_batch() -> None:
    """
    An extra one is sent, too; a shape without a free dimension has no batches.
    """
    about = specs(
        {"type": "tensor", "name": "ids", "tensor-spec": {"dtype": "int8", "shape": [-1]}},
        {"type": "tensor", "name": "flag", "tensor-spec": {"dtype": "bool", "shape": [1]}},
    )

    found = {
        name: request.get("inputs")
        for name, request in sent(about, {"inputs": {"ids": [1, 2], "flag": [True]}}).items()
    }

    assert {"ids": [1], "flag": [True]} == found["one item"]
    assert {"flag": [True]} == found["tensor 'ids' missing"]
    assert {"ids": [1, 2], "flag": [True], "mlflow_uv_unknown": [1]} == found["an extra tensor"]
    assert ([-128, 2], [127, 2], [128, 2]) == tuple(
        found[f"tensor 'ids' with {name}"]["ids"]
        for name in ("the smallest int8", "the largest int8", "a number larger than any int8")
    )
    assert ["text"] == found["tensor 'flag' with text"]["flag"]


def test_a_tensor_without_an_example_has_the_smallest_shape_that_fits() -> None:
    """
    A dimension of any length has one item.
    """
    about = specs({"type": "tensor", "tensor-spec": {"dtype": "int64", "shape": [-1, 2]}})

    found = sent(about, None)

    assert {"inputs": [[1, 1]]} == found["one item"]
