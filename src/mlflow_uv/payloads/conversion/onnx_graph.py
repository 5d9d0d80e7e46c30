"""Gives an ONNX graph one input for each column, and one vector for each output."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from ..messages.conversion import ModelPort

DEFAULT_OPSET = 15
INNER = "converted/"  # in front of every name of the graph that a converter wrote
OWN = "mlflow-uv/"  # in front of every other name, besides those of inputs and outputs
# The type of an input by that of the signature's column. MLflow and the scorer give a float64 column as float32.
TENSOR_TYPES = {
    "double": TensorProto.FLOAT,
    "float": TensorProto.FLOAT,
    "long": TensorProto.INT64,
    "integer": TensorProto.INT32,
    "boolean": TensorProto.BOOL,
    "string": TensorProto.STRING,
}
_OUTPUT_TYPES = {"double": TensorProto.FLOAT, "long": TensorProto.INT64, "string": TensorProto.STRING}


@dataclass(frozen=True, kw_only=True)
class GraphOutputs:
    """The names of outputs, and of the matrix or the vector of the inner graph, with the column, that each is."""

    ports: "tuple[ModelPort, ...]"
    sources: "tuple[tuple[str, int], ...]"


def wrapped(inner: Any, inputs: "Sequence[ModelPort]", layout: str, outputs: GraphOutputs) -> Any:
    """
    The model with the names of columns as inputs, whatever characters they have, and the names of outputs.

    `inner` has one input for all columns, or one for each, in their order.
    """
    graph = onnx.compose.add_prefix(inner, INNER).graph
    front = list(_front(graph, inputs, layout))
    back = list(_back(outputs))
    several = len(inputs) > 1
    declared = [
        helper.make_tensor_value_info(
            port.name,
            TENSOR_TYPES[port.type],
            [None] if layout == "columns" and several else [None, 1 if layout == "columns" else _width(inner)],
        )
        for port in inputs
    ]
    returned = [helper.make_tensor_value_info(port.name, _OUTPUT_TYPES[port.type], [None]) for port in outputs.ports]
    axes = [numpy_helper.from_array(np.array([-1, 1], dtype=np.int64), f"{OWN}column")]
    vector = [numpy_helper.from_array(np.array([-1], dtype=np.int64), f"{OWN}vector")]
    positions = [
        numpy_helper.from_array(np.array(column, dtype=np.int64), f"{OWN}position {column}")
        for column in sorted({column for _, column in outputs.sources if column >= 0})
    ]
    whole = helper.make_graph(
        [*front, *graph.node, *back],
        "mlflow-uv",
        declared,
        returned,
        [*graph.initializer, *axes, *vector, *positions],
    )
    opsets = list(inner.opset_import)
    if all(opset.domain not in ("", "ai.onnx") for opset in opsets):
        opsets.append(helper.make_opsetid("", DEFAULT_OPSET))
    model = helper.make_model(whole, opset_imports=opsets, functions=list(inner.functions))
    model.ir_version = inner.ir_version
    onnx.checker.check_model(model)
    return model


def _width(inner: Any) -> "int | None":
    shape = inner.graph.input[0].type.tensor_type.shape.dim
    return shape[1].dim_value or None


def _front(graph: Any, inputs: "Sequence[ModelPort]", layout: str) -> "Iterator[Any]":
    """The nodes that make the inputs of the inner graph: reshaped, cast, and put side by side if it has only one."""
    wanted = list(graph.input)
    if layout == "tensor":
        elements = wanted[0].type.tensor_type.elem_type
        yield helper.make_node("Cast", [inputs[0].name], [wanted[0].name], to=elements)
        return
    single = len(wanted) == 1 and len(inputs) > 1
    columns = []
    for number, port in enumerate(inputs):
        elements = wanted[0 if single else number].type.tensor_type.elem_type
        column, cast = f"{OWN}column {number}", f"{OWN}cast {number}" if single else wanted[number].name
        yield helper.make_node("Reshape", [port.name, f"{OWN}column"], [column])
        if TENSOR_TYPES[port.type] == elements:
            yield helper.make_node("Identity", [column], [cast])
        else:
            yield helper.make_node("Cast", [column], [cast], to=elements)
        columns.append(cast)
    if single:
        yield helper.make_node("Concat", columns, [wanted[0].name], axis=1)


def _back(outputs: GraphOutputs) -> "Iterator[Any]":
    """The nodes that make a vector of the right type of each output."""
    for number, (port, (source, column)) in enumerate(zip(outputs.ports, outputs.sources, strict=True)):
        name, vector = f"{INNER}{source}", f"{OWN}output {number}"
        if column >= 0:
            taken = f"{OWN}taken {number}"
            yield helper.make_node("Gather", [name, f"{OWN}position {column}"], [taken], axis=1)
            name = taken
        yield helper.make_node("Reshape", [name, f"{OWN}vector"], [vector])
        kind = "Identity" if port.type == "string" else "Cast"
        options = {} if kind == "Identity" else {"to": _OUTPUT_TYPES[port.type]}
        yield helper.make_node(kind, [vector], [port.name], **options)


def operators(model: Any) -> "tuple[str, ...]":
    """The names of the operators of a model, each once, in their order."""
    return tuple(dict.fromkeys(node.op_type for node in model.graph.node))


def exact_thresholds(model: Any, thresholds: "Sequence[tuple[int, float]]") -> Any:
    """
    The model with thresholds `<=` rounded down to 32 bits: onnxmltools rounds those of LightGBM to the nearest number.

    For each 32-bit number x, `x <= t` is then the same as with the threshold of 64 bits.
    """
    wide: dict[tuple[int, float], set[float]] = {}
    for feature, value in thresholds:
        wide.setdefault((feature, float(np.float32(value))), set()).add(value)
    for node in model.graph.node:
        attributes = {attribute.name: attribute for attribute in node.attribute}
        if not node.op_type.startswith("TreeEnsemble") or "nodes_values" not in attributes:
            continue
        values = attributes["nodes_values"].floats
        features, modes = attributes["nodes_featureids"].ints, attributes["nodes_modes"].strings
        for position, (feature, value, mode) in enumerate(zip(features, values, modes, strict=True)):
            exact = wide.get((feature, value), set())
            if mode == b"BRANCH_LEQ" and exact and max(exact) < value:
                values[position] = float(np.nextafter(np.float32(value), np.float32(-np.inf)))
    return model
