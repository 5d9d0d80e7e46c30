"""Tests which models are read, and what their outputs are called."""

from pathlib import Path

import pytest

from tests.conversions import run_in

pytestmark = [pytest.mark.installs, pytest.mark.extended]


def test_a_matrix_is_one_vector_for_each_column(converting: Path) -> None:
    """
    A single column of labels or predictions keeps its name.
    """
    found = run_in(
        converting,
        """
    import numpy as np
    native = importlib.import_module("payloads.conversion.native_models")
    shapes = [("label", np.zeros((2, 1))), ("prediction", np.zeros(2)), ("prediction", np.zeros((2, 2)))]
    print(json.dumps([[name for name, _ in native.vectors(*shape)] for shape in shapes]))
    """,
    )

    assert [["label"], ["prediction"], ["prediction_0", "prediction_1"]] == found


def test_a_model_of_user_code_is_not_read(converting: Path, tmp_path: Path) -> None:
    """
    The module that loads it is the operator of the refusal; its code is not run.
    """
    (tmp_path / "MLmodel").write_text("flavors:\n  python_function:\n    loader_module: mlflow.pyfunc.model\n")

    found = run_in(
        converting,
        """
    native = importlib.import_module("payloads.conversion.native_models")
    try:
        native.load_native(sys.argv[1])
    except native.Inconvertible as error:
        print(json.dumps([error.operator, error.reason]))
    """,
        str(tmp_path),
    )

    assert ["mlflow.pyfunc.model", "it is not a model of scikit-learn, XGBoost or LightGBM"] == found
