"""Tests what helps where a model is not converted."""

import pytest

from mlflow_uv.core.conversion.refusals import help_for, help_for_difference


@pytest.mark.parametrize(
    ("operator", "reason", "expected"),
    [
        ("HistGradientBoostingClassifier", "ValueError: Unable to create node", "XGBoost or LightGBM"),
        ("XGBClassifier (dart)", "only trees of the booster `gbtree` are converted", 'booster="gbtree"'),
        ("onnxruntime", "Failed to construct locale with name:en_US.UTF-8", "install the locale en_US.UTF-8"),
        ("mlflow.pyfunc.model", "it is not a model of scikit-learn, XGBoost or LightGBM", "mlflow.sklearn"),
        ("Spline", "MissingShapeCalculator: Unable to find a shape calculator", "replace Spline by a step"),
    ],
)
def test_a_refusal_says_what_helps(operator: str, reason: str, expected: str) -> None:
    """
    By the operator or the reason; an operator that is not known is named.
    """
    assert expected in help_for(operator, reason)


def test_a_difference_has_advice_of_its_own() -> None:
    """
    Nothing is missing there, and a step changes the result.
    """
    assert "scaler before trees" in help_for_difference()
