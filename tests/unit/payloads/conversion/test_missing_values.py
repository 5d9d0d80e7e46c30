"""Tests that a missing number takes the same branches in converted trees as in those of scikit-learn."""

from pathlib import Path

import pytest

from tests.conversions import run_in

pytestmark = pytest.mark.installs

PROGRAM = """
    import numpy as np, onnxruntime, skl2onnx
    from sklearn.calibration import CalibratedClassifierCV
    from sklearn.ensemble import BaggingRegressor, ExtraTreesClassifier, IsolationForest
    from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor
    from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor
    from skl2onnx.common.data_types import FloatTensorType
    kept = importlib.import_module("payloads.conversion.missing_values").missing_values_kept
    rows = np.random.default_rng(3).normal(size=(80, 3)).astype("float32")
    gaps = np.where(rows > 1, np.nan, rows)
    asked = np.array([[np.nan, 1, 1], [1, np.nan, 1], [1, 1, np.nan], [np.nan] * 3, [0.1, -2, np.nan]], dtype="float32")
    number, label = rows[:, 0] * 2, (rows[:, 0] > 0).astype(int) + (rows[:, 1] > 1)

    def largest(model, data, target, context):
        model.fit(data, target)
        classifies = hasattr(model, "predict_proba")
        scores = isinstance(model, IsolationForest)
        expected = (model.predict_proba if classifies else model.score_samples if scores else model.predict)(asked)
        options = {id(model): {"zipmap": False}} if classifies else {"score_samples": True} if scores else {}
        with context():
            opsets = {"": 18, "ai.onnx.ml": 3}
            inputs = [("input", FloatTensorType([None, 3]))]
            graph = skl2onnx.convert_sklearn(model, "m", inputs, target_opset=opsets, options=options)
        session = onnxruntime.InferenceSession(graph.SerializeToString())
        found = session.run(None, {"input": asked})[-1]
        return float(np.abs(found.reshape(expected.shape) - expected).max())

    models = {
        "tree": (lambda: DecisionTreeRegressor(random_state=1), number),
        "tree of labels": (lambda: DecisionTreeClassifier(random_state=1), label),
        "forest": (lambda: RandomForestRegressor(5, random_state=1), number),
        "extra trees": (lambda: ExtraTreesClassifier(5, random_state=1), label),
        "bagging": (lambda: BaggingRegressor(DecisionTreeRegressor(), 5, random_state=1), number),
        "isolation forest": (lambda: IsolationForest(n_estimators=5, random_state=1), None),
        "calibrated": (lambda: CalibratedClassifierCV(RandomForestClassifier(5, random_state=1), cv=2), label),
    }
    before = skl2onnx.operator_converters.random_forest.add_tree_to_attribute_pairs
    print(json.dumps({
        f"{name}{mark}": largest(make(), data, target, kept) < 1e-5
        for name, (make, target) in models.items() for mark, data in (("", rows), (" with gaps", gaps))
    } | {"restored": before is skl2onnx.operator_converters.random_forest.add_tree_to_attribute_pairs}))
"""


def test_a_missing_number_takes_the_branch_of_scikit_learn(converting: Path) -> None:
    """
    Also in trees that were trained without missing numbers, which have a branch for them at each threshold.
    """
    found = run_in(converting, PROGRAM)

    assert 15 == len(found)
    assert dict.fromkeys(found, True) == found
