"""Tests the graph around a converted one: names of columns, types of outputs, and exact thresholds."""

from pathlib import Path

import pytest

from tests.conversions import run_in

pytestmark = [pytest.mark.installs, pytest.mark.extended]

GRAPH = """
    import numpy as np, onnx, onnxruntime
    from onnx import TensorProto, helper
    graph = importlib.import_module("payloads.conversion.onnx_graph")
    port = importlib.import_module("payloads.messages.conversion").ModelPort
    def inner():
        node = helper.make_node("Mul", ["input", "two"], ["label"])
        two = helper.make_tensor("two", TensorProto.FLOAT, [1], [2.0])
        given = helper.make_tensor_value_info("input", TensorProto.FLOAT, [None, 2])
        returned = helper.make_tensor_value_info("label", TensorProto.FLOAT, [None, 2])
        whole = helper.make_graph([node], "inner", [given], [returned], [two])
        return helper.make_model(whole, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)
    def session(model):
        return onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
"""


def test_each_column_is_an_input_by_its_own_name(converting: Path) -> None:
    """
    With characters that converters replace, and with names that the graph inside has too.
    """
    found = run_in(
        converting,
        GRAPH
        + """
    inputs = (port(name="größe / cm", type="double"), port(name="label", type="long"))
    outputs = graph.GraphOutputs(
        ports=(port(name="a", type="double"), port(name="b", type="long")), sources=(("label", 1), ("label", 0))
    )
    run = session(graph.wrapped(inner(), inputs, "columns", outputs))
    feeds = {"größe / cm": np.array([1.5, 2.5], dtype=np.float32), "label": np.array([7, 8], dtype=np.int64)}
    print(json.dumps([[part.tolist(), str(part.dtype)] for part in run.run(["a", "b"], feeds)]))
    """,
    )

    assert [[[14.0, 16.0], "float32"], [[3, 5], "int64"]] == found


def test_thresholds_of_64_bits_are_rounded_down(converting: Path) -> None:
    """
    A number of 32 bits just above a threshold then goes to the right, as in the original; others stay as they are.
    """
    found = run_in(
        converting,
        GRAPH
        + """
    wide = float(np.float32(0.1)) - 1e-12
    node = helper.make_node(
        "TreeEnsembleRegressor", ["input"], ["label"], domain="ai.onnx.ml", nodes_values=[wide, 0.5],
        nodes_featureids=[0, 1], nodes_modes=["BRANCH_LEQ", "BRANCH_LEQ"],
    )
    model = helper.make_model(helper.make_graph([node], "g", [], []))
    graph.exact_thresholds(model, [(0, wide), (1, 0.5)])
    values = next(part for part in model.graph.node[0].attribute if part.name == "nodes_values").floats
    print(json.dumps([values[0] < np.float32(0.1).item(), values[0] <= wide, values[1]]))
    """,
    )

    assert [True, True, 0.5] == found
