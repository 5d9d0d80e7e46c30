"""Says what helps where a model, or a step of it, cannot be converted or is not equal afterwards."""

import re
from collections.abc import Mapping

# What helps, by a pattern of the operator and the reason; the first one that fits.
_HELP: Mapping[str, str] = {
    "Locale|locale": "install the locale en_US.UTF-8 where it runs, or train the vectorizer with lowercase=False",
    "HistGradientBoosting": "train GradientBoosting, or a model of XGBoost or LightGBM, which are converted",
    "FunctionTransformer": "compute the function before the model, or replace it by a step that is converted",
    "KBinsDiscretizer": "train a forest or boosting without it, whose trees divide the columns themselves",
    r"\((dart|gblinear)\)": 'train it with booster="gbtree"',
    "categorical": "encode the categories with an OneHotEncoder or OrdinalEncoder before the model",
    "no signature": "log the model with signature=infer_signature(inputs, predictions)",
    "ColumnTransformer as first step": "select the columns of texts and of numbers with a ColumnTransformer",
    "has the type": "give the model numbers or texts, for example the parts of a date",
    "scikit-learn, XGBoost or LightGBM": "log the model with mlflow.sklearn, mlflow.xgboost or mlflow.lightgbm",
    "2 ?GiB|one file": "train a smaller model, with fewer or shallower trees",
    "Keras or TensorFlow": "log the model with mlflow.keras or mlflow.tensorflow",
    "several outputs": "train a model for each output, or concatenate them",
    "shape that varies": "train the model with inputs of one shape",
    "numbers have 64 bits": 'train it with numbers of 32 bits, as Keras does by default: dtype="float32"',
    "operators of TensorFlow": "use layers that TensorFlow Lite has operators for, and prepare texts before the model",
    "zero_as_missing": "train it without zero_as_missing, with NaN in place of the zeros that mean a missing number",
    "missing values are not nan": "train it with NaN for a missing number, and missing=nan, which is the default",
    "add_indicator": "train it with add_indicator=False, and give the model columns that say where numbers are missing",
    "keep_empty_features": "train the model without these columns, which have no effect",
    "number as its name": "name the columns by texts, data.columns = data.columns.astype(str), and train with these",
    r"values for \d+ rows": "let it answer each row: a vectorizer gets one column from a ColumnTransformer, as in"
    ' ColumnTransformer([("text", TfidfVectorizer(), "text")])',
    "recorded requests": "log the model with an input_example that it answers",
}


def help_for(operator: str, reason: str, converter: str) -> str:
    """Return what helps if an operator is not converted for a reason."""
    text = f"{operator}: {reason}"
    return next(
        (advice for pattern, advice in _HELP.items() if re.search(pattern, text)),
        f"replace {operator} by a step that {converter} converts",
    )
