"""Tests how a table becomes a request."""

from pathlib import Path

import pytest

from tests.conversions import run_in

pytestmark = [pytest.mark.installs, pytest.mark.extended]


def test_a_table_is_a_request_with_plain_values(converting: Path) -> None:
    """
    What is missing is null, and a double keeps all of its digits.
    """
    found = run_in(
        converting,
        """
    import numpy as np, pandas as pd
    frames = importlib.import_module("payloads.conversion.request_frames")
    table = pd.DataFrame({"x": [0.1, np.nan], "n": np.array([1, 2], dtype="int32"), "é": ["a", None]})
    print(json.dumps([frames.body_of(table), frames.body_of(np.array([[1.5, 2.0]]))]))
    """,
    )

    table = {"columns": ["x", "n", "é"], "data": [[0.1, 1, "a"], [None, 2, None]]}
    assert [{"dataframe_split": table}, {"inputs": [[1.5, 2.0]]}] == found
