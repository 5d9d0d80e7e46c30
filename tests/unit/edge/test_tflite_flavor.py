"""Tests what MLflow gets from a model in TFLite; see tests/cases/test_export_tflite.py for the real runtime."""

from pathlib import Path

import pytest

from tests.conversions import run_in

pytestmark = [pytest.mark.installs, pytest.mark.extended]


def test_a_tensor_and_tensors_by_name_are_given_in_the_order_of_the_signature(converting: Path) -> None:
    """
    With the types of the model, and the output is returned as it is; a number that 32 bits cannot hold is refused.
    """
    found = run_in(
        converting,
        """
    import numpy as np
    from types import SimpleNamespace as Part
    flavor = importlib.import_module("edge.tflite_flavor")
    seen = []
    def run(feeds):
        seen.append([[name, str(feed.dtype), feed.tolist()] for name, feed in feeds.items()])
        return [np.array([[0.5]], dtype=np.float32)]
    ports = [{"name": "b", "type": "double"}, {"name": "a", "type": "uint8"}]
    function = flavor.TfliteFunction(Part(signature={"inputs": ports}, model=Part(run=run)))
    answer = function.predict({"a": np.array([[7]]), "b": np.array([[1.5]])})
    single = flavor.TfliteFunction(Part(signature={"inputs": ports[:1]}, model=Part(run=run)))
    single.predict(np.array([[2.5]]))
    try:
        single.predict(np.array([[1e300]]))
    except ValueError as error:
        refused = str(error)
    print(json.dumps([answer.tolist(), seen, refused]))
    """,
    )

    answer, (both, one), refused = found
    assert ([[0.5]], "'b' has a number that 32 bits cannot hold") == (answer, refused)
    assert [["b", "float32", [[1.5]]], ["a", "uint8", [[7]]]] == both
    assert [["b", "float32", [[2.5]]]] == one
