"""Logs an ONNX graph whose input is one tensor, or several with names."""

import sys

import mlflow
import numpy as np
from mlflow.models import ModelSignature
from mlflow.types import Schema, TensorSpec
from onnx import TensorProto, checker, helper

FLOAT = TensorProto.FLOAT


def plain() -> tuple[helper.ModelProto, object, ModelSignature]:
    """A softmax of a matrix product, for batches of 2 by 3 pictures."""
    weights = np.arange(18, dtype=np.float32).reshape(6, 3) / 10
    nodes = [
        helper.make_node("Flatten", ["pixels"], ["flat"], axis=1),
        helper.make_node("MatMul", ["flat", "weights"], ["scores"]),
        helper.make_node("Softmax", ["scores"], ["probabilities"], axis=1),
    ]
    graph = helper.make_graph(
        nodes,
        "pictures",
        [helper.make_tensor_value_info("pixels", FLOAT, ["n", 2, 3])],
        [helper.make_tensor_value_info("probabilities", FLOAT, ["n", 3])],
        [helper.make_tensor("weights", FLOAT, weights.shape, weights.ravel())],
    )
    signature = ModelSignature(
        inputs=Schema([TensorSpec(np.dtype(np.float32), (-1, 2, 3))]),
        outputs=Schema([TensorSpec(np.dtype(np.float32), (-1, 3), "probabilities")]),
    )
    return graph, np.linspace(0, 1, 12, dtype=np.float32).reshape(2, 2, 3), signature


def named() -> tuple[helper.ModelProto, object, ModelSignature]:
    """A sum of two named inputs, of which one is of integers."""
    nodes = [
        helper.make_node("Cast", ["count"], ["counted"], to=FLOAT),
        helper.make_node("Add", ["size", "counted"], ["total"]),
    ]
    graph = helper.make_graph(
        nodes,
        "sums",
        [
            helper.make_tensor_value_info("size", FLOAT, ["n", 2]),
            helper.make_tensor_value_info("count", TensorProto.INT64, ["n", 2]),
        ],
        [helper.make_tensor_value_info("total", FLOAT, ["n", 2])],
    )
    signature = ModelSignature(
        inputs=Schema(
            [
                TensorSpec(np.dtype(np.float32), (-1, 2), "size"),
                TensorSpec(np.dtype(np.int64), (-1, 2), "count"),
            ]
        ),
        outputs=Schema([TensorSpec(np.dtype(np.float32), (-1, 2), "total")]),
    )
    size = np.array([[0.5, 1.5], [2.5, 3.5]], dtype=np.float32)
    return graph, {"size": size, "count": np.array([[1, 2], [3, 4]])}, signature


def main(kind: str) -> None:
    """Log the graph with its signature."""
    graph, example, signature = plain() if kind == "plain" else named()
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    checker.check_model(model)
    with mlflow.start_run():
        mlflow.onnx.log_model(model, name="graph", signature=signature, input_example=example)


if __name__ == "__main__":
    main(sys.argv[1])
