"""Tests how the output of a network is read."""

from pathlib import Path

import pytest

from tests.conversions import run_in

pytestmark = [pytest.mark.installs, pytest.mark.extended]


def test_an_output_that_is_no_tensor_for_each_row_is_refused(converting: Path) -> None:
    """
    Several outputs, texts, and a number of rows that is not that of the request.
    """
    found = run_in(
        converting,
        """
    import numpy as np
    networks = importlib.import_module("payloads.conversion.networks")
    def read(output):
        network = networks.Network(
            library="keras", kind="network", model=None, methods={"prediction": lambda data: output},
            served="prediction", call=None, activation="",
        )
        try:
            return list(network.outputs(np.zeros((2, 3)))["prediction"].shape)
        except networks.Inconvertible as error:
            return error.reason
    outputs = [np.zeros((2, 5)), np.zeros(2), [np.zeros(2)], {"a": 1, "b": 2}, np.array(["a", "b"]), np.zeros((3, 5))]
    print(json.dumps(list(map(read, outputs))))
    """,
    )

    assert [[2, 5], [2, 1]] == found[:2]
    assert ["(1 tensors)" in found[2], "(2 tensors)" in found[3]] == [True, True]
    assert ["<U1" in found[4], "the shape (3, 5)" in found[5]] == [True, True]


def test_the_activation_is_that_of_the_last_layer(converting: Path) -> None:
    """
    Also of a model in a model; another activation decides on no labels.
    """
    found = run_in(
        converting,
        """
    from types import SimpleNamespace as Part
    networks = importlib.import_module("payloads.conversion.networks")
    class Softmax: pass
    def softmax(): pass
    def relu(): pass
    dense, hidden = Part(activation=softmax), Part(activation=relu)
    nested = Part(layers=[Part(layers=[hidden, Softmax()])])
    models = [Part(layers=[hidden, dense]), nested, Part(layers=[dense, hidden]), Part()]
    print(json.dumps([networks.activation_of(model) for model in models]))
    """,
    )

    assert ["softmax", "softmax", "", ""] == found
