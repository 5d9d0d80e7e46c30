"""Tests which networks are converted to TFLite."""

from pathlib import Path

import pytest

from tests.conversions import run_in

pytestmark = [pytest.mark.installs, pytest.mark.extended]


def test_inputs_that_a_device_cannot_get_are_refused(converting: Path) -> None:
    """
    Columns, texts and lengths that vary, and a model without a signature; a tensor and tensors by name are accepted.
    """
    found = run_in(
        converting,
        """
    import numpy as np
    from types import SimpleNamespace as Part
    from mlflow.types import ColSpec, Schema, TensorSpec
    converter = importlib.import_module("payloads.conversion.network_converter")
    def inputs(*specs):
        try:
            layout, ports = converter.inputs_of(Schema(list(specs)), Part(operator="Sequential"))
        except converter.Inconvertible as error:
            return error.reason
        return [layout, [[port.name, port.type, list(port.shape)] for port in ports]]
    def tensor(kind, shape, name=None):
        return TensorSpec(np.dtype(kind), shape, name)
    print(json.dumps([
        inputs(tensor("float64", (-1, 6))),
        inputs(tensor("uint8", (-1, 2, 3), "b"), tensor("int64", (-1, 4), "a")),
        inputs(ColSpec("double", "x")), inputs(tensor("str", (-1, 1))), inputs(tensor("float32", (-1, -1, 3))),
        inputs(),
    ]))
    """,
    )

    single, named, *refused = found
    assert ["tensor", [["input_0", "double", [6]]]] == single
    assert ["tensors", [["b", "uint8", [2, 3]], ["a", "long", [4]]]] == named
    reasons = ("columns", "numbers are converted", "a shape that varies", "no signature")
    assert [True] * 4 == [reason in text for reason, text in zip(reasons, refused, strict=True)]
