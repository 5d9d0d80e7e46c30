"""Tests what helps where a model is not converted."""

import pytest

from mlflow_uv.core.conversion.refusals import help_for


@pytest.mark.parametrize(
    ("operator", "reason", "expected"),
    [
        ("HistGradientBoostingClassifier", "ValueError: Unable to create node", "XGBoost or LightGBM"),
        ("XGBClassifier (dart)", "only trees of the booster `gbtree` are converted", 'booster="gbtree"'),
        ("onnxruntime", "Failed to construct locale with name:en_US.UTF-8", "install the locale en_US.UTF-8"),
        ("mlflow.pyfunc.model", "it is not a model of scikit-learn, XGBoost or LightGBM", "mlflow.sklearn"),
        ("mlflow.sklearn", "it is not a model of Keras or TensorFlow", "mlflow.keras"),
        ("Igamma", "TensorFlow Lite has no operator for these operators of TensorFlow: Igamma", "has operators for"),
        ("MatMul", "no operator for these operators of TensorFlow, whose numbers have 64 bits: MatMul", "32 bits"),
        ("Sequential", "an input has a shape that varies, (-1, -1, 3)", "inputs of one shape"),
        ("Functional", "it has several outputs (2 tensors)", "for each output"),
        ("Ridge", "column 0 has a number as its name, 0, and inputs", "data.columns.astype(str)"),
        ("LGBMRegressor", "its trees take zero for a missing number (zero_as_missing)", "without zero_as_missing"),
        ("XGBRegressor", "Cannot convert a XGBoost model where missing values are not nan but 0.0.", "missing=nan"),
        ("SimpleImputer", "it adds columns that say where numbers are missing (add_indicator=True)", "indicator=False"),
        (
            "SimpleImputer",
            "it leaves out columns without a number (keep_empty_features=False)",
            "without these columns",
        ),
        ("Pipeline", "`label` has 2 values for 6 rows", "gets one column from a ColumnTransformer"),
        ("Spline", "MissingShapeCalculator: Unable to find a shape calculator", "replace Spline by a step"),
    ],
)
def test_a_refusal_says_what_helps(operator: str, reason: str, expected: str) -> None:
    """
    By the operator or the reason; an operator that is not known is named.
    """
    assert expected in help_for(operator, reason, "skl2onnx")
