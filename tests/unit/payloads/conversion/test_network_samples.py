"""Tests the rows that are generated for a network."""

from pathlib import Path
from typing import Any

import pytest

from tests.conversions import run_in

pytestmark = [pytest.mark.installs, pytest.mark.extended]

NETWORK = """
    import numpy as np, pandas as pd
    samples = importlib.import_module("payloads.conversion.network_samples")
    networks = importlib.import_module("payloads.conversion.networks")
    def network(predict, activation):
        return networks.Network(
            library="keras", kind="network", model=None, methods={"prediction": predict}, served="prediction",
            call=predict, activation=activation,
        )
"""


def sampled(python: Path, program: str) -> Any:
    """What a program about samples prints."""
    return run_in(python, NETWORK + program)


def test_half_of_the_rows_are_on_both_sides_of_where_the_label_changes(converting: Path) -> None:
    """
    A label that changes at 0.3 has rows just below and above, as near as numbers of 32 bits are.
    """
    found = sampled(
        converting,
        """
    def predict(data):
        return np.stack([(data[:, 0] <= 0.3) * 1.0, (data[:, 0] > 0.3) * 1.0], axis=1)
    rows = np.linspace(-1, 1, 24, dtype=np.float32).reshape(12, 2)
    near, spread = samples.network_requests(network(predict, "softmax"), [rows], rows=100)
    first = np.array(near["body"]["inputs"], dtype=np.float32)[:, 0]  # 0.3 of 32 bits is above that of 64
    print(json.dumps([
        near["origin"], len(first), float(np.abs(first - 0.3).max()), int((first > 0.3).sum()) * 2 == len(first),
        spread["origin"], len(spread["body"]["inputs"]) + len(first),
    ]))
    """,
    )

    origin, rows, distance, halved, other, whole = found
    assert ("thresholds", True, "spread", 100) == (origin, halved, other, whole)
    assert 10 < rows <= 50
    assert distance < 1e-7


def test_whole_numbers_are_on_both_sides_by_one(converting: Path) -> None:
    """
    The rows of a pair differ by one, so they are the nearest with different labels; large numbers stay in between.
    """
    pixels, large = sampled(
        converting,
        """
    def near(data, limit):
        def predict(data):
            high = data.reshape(len(data), -1)[:, 0] > limit
            return np.stack([~high * 1.0, high * 1.0], axis=1)
        found, _ = samples.network_requests(network(predict, "softmax"), [data], rows=100)
        assert found["origin"] == "thresholds"
        first = np.array(found["body"]["inputs"], dtype=data.dtype).reshape(-1, *data.shape[1:]).reshape(-1, 2)[:, 0]
        return sorted(set(first.tolist()))
    pictures = np.array([0, 255] * 6, dtype=np.uint8).reshape(3, 2, 2, 1)[:, :1]
    print(json.dumps([
        near(pictures, 100), near(np.array([[0, 1], [2**62, 5]], dtype=np.int64), 2**61) [-1] <= 2**62,
    ]))
    """,
    )

    assert ([100, 101], True) == (pixels, large)


def test_integers_stay_in_the_recorded_range_and_tables_keep_their_columns(converting: Path) -> None:
    """
    An index beyond an embedding is an error; a table and tensors by name are requests of the same layout.
    """
    words, columns, names = sampled(
        converting,
        """
    def predict(data):
        return np.zeros((len(next(iter(data.values()))) if isinstance(data, dict) else len(data), 1))
    words = np.array([[3, 5], [4, 9]], dtype=np.int64)
    table = pd.DataFrame({"é": [0.5, 1.5], "n": [1, 2]})
    named = {"b": np.ones((2, 3), dtype=np.float32), "a": np.ones((2, 1), dtype=np.uint8)}
    spread = lambda data: samples.network_requests(network(predict, ""), [data], rows=40)[0]["body"]
    found = [spread(data) for data in (words, table, named)]
    values = np.array(found[0]["inputs"])
    print(json.dumps([
        [int(values.min()), int(values.max()), len(values)], found[1]["dataframe_split"]["columns"],
        {name: len(part) for name, part in found[2]["inputs"].items()},
    ]))
    """,
    )

    assert [3, 9, 40] == words
    assert (["é", "n"], {"b": 40, "a": 40}) == (columns, names)


def test_a_label_that_never_changes_and_large_tensors_have_few_rows(converting: Path) -> None:
    """
    No pair of rows has different labels; a hundred million numbers would be no request.
    """
    origins, rows = sampled(
        converting,
        """
    def predict(data):
        return np.ones((len(data), 1))
    small, large = np.ones((2, 3), dtype=np.float32), np.ones((2, 300, 300, 3), dtype=np.float32)
    found = [samples.network_requests(network(predict, "sigmoid"), [data], rows=50) for data in (small, large)]
    print(json.dumps([[item["origin"] for item in found[0]], len(found[1][0]["body"]["inputs"])]))
    """,
    )

    assert (["spread"], 8) == (origins, rows)
