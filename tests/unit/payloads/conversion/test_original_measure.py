"""Tests that an original is measured as MLflow's server answers."""

from pathlib import Path

import pytest

from tests.conversions import run_in

pytestmark = [pytest.mark.installs, pytest.mark.extended]

MEASURED = """
    import pathlib
    import mlflow, numpy as np, pandas as pd
    from mlflow.models import infer_signature
    from sklearn.tree import DecisionTreeClassifier
    messages = importlib.import_module("payloads.messages.conversion")
    measuring = importlib.import_module("payloads.conversion.original_measure")
    folder = pathlib.Path(sys.argv[1])
    rows = pd.DataFrame({"x": [1.0, 2.0, 3.0]})
    model = DecisionTreeClassifier(random_state=1).fit(rows, ["a", "b", "b"])
    mlflow.sklearn.save_model(
        model, str(folder / "model"), signature=infer_signature(rows, model.predict(rows)),
        serialization_format="cloudpickle", pip_requirements=["scikit-learn"], pyfunc_predict_fn=sys.argv[2],
    )
    bodies = ['{"dataframe_split": {"columns": ["x"], "data": [[1.0], [9.0]]}}', '{"inputs": []}']
    requests = [{"name": str(n), "origin": "recorded", "body": body} for n, body in enumerate(bodies)]
    (folder / "requests.json").write_text(json.dumps(requests))
    figures = measuring.measure(messages.MeasureOriginal(
        model=str(folder / "model"), requests=str(folder / "requests.json"), destination=str(folder / "out.json"),
        repeats=2,
    ))
    print(json.dumps([json.loads((folder / "out.json").read_text()), figures.row_s > 0, figures.memory > 0]))
"""


@pytest.mark.parametrize("method", ["predict", "predict_proba"])
def test_each_output_is_answered_and_a_refusal_has_a_reason(converting: Path, tmp_path: Path, method: str) -> None:
    """
    Labels and probabilities, whichever of them the server returns.
    """
    (first, second), *figures = run_in(converting, MEASURED, str(tmp_path), method)

    outputs = {"label": ["a", "b"], "probability_0": [1.0, 0.0], "probability_1": [0.0, 1.0]}
    assert (outputs, [True, True]) == (first["outputs"], figures)
    assert second["refused"]
