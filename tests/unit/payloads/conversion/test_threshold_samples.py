"""Tests that generated rows are at the thresholds of a model."""

from pathlib import Path

import pytest

from tests.conversions import run_in

pytestmark = [pytest.mark.installs, pytest.mark.extended]

FITTED = """
    import numpy as np, pandas as pd
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler
    from sklearn.tree import DecisionTreeRegressor
    samples = importlib.import_module("payloads.conversion.threshold_samples")
    native_models = importlib.import_module("payloads.conversion.native_models")
    rows = pd.DataFrame({"x": [1.0, 2.0, 10.0], "y": [5.0, 5.0, 5.0]})
    def sample(model, count=60):
        model.fit(rows, [0.0, 1.0, 2.0])
        native = native_models.NativeModel(
            library="sklearn", kind="regressor", model=model, methods={"prediction": model.predict}, served="prediction"
        )
        found = samples.thresholds_of(model)
        return found, samples.sample_requests(native, [rows], found, rows=count)
"""


def test_rows_are_at_the_thresholds_of_a_tree_and_beside_them(converting: Path) -> None:
    """
    The number of 32 bits and its neighbours; the same rows each time.
    """
    found = run_in(
        converting,
        FITTED
        + """
    thresholds, requests = sample(DecisionTreeRegressor(random_state=1))
    again = sample(DecisionTreeRegressor(random_state=1))[1]
    near = [row[0] for row in requests[0]["body"]["dataframe_split"]["data"]]
    print(json.dumps([thresholds, [request["origin"] for request in requests], sorted(set(near)), again == requests]))
    """,
    )

    thresholds, origins, near, same = found
    assert ([[0, 1.5], [0, 6.0]], ["thresholds", "spread"], True) == (thresholds, origins, same)
    assert {1.5, 6.0} <= set(near)
    assert [value for value in near if abs(value - 1.5) < 1e-6 or abs(value - 6.0) < 1e-6] == near
    assert 6 == len(near)


def test_a_threshold_behind_a_scaler_is_found_in_the_columns(converting: Path) -> None:
    """
    The tree sees scaled numbers; a row that is given to the scaler leads to its thresholds.
    """
    found = run_in(
        converting,
        FITTED
        + """
    _, requests = sample(make_pipeline(StandardScaler(), DecisionTreeRegressor(random_state=1)))
    print(json.dumps(sorted({round(row[0], 4) for row in requests[0]["body"]["dataframe_split"]["data"]})))
    """,
    )

    assert [1.5, 6.0] == found
