"""Makes, converts and measures models of many kinds, and prints what was seen of each as JSON; see tests/parity.py."""

import json
from pathlib import Path
from typing import Any

import lightgbm
import mlflow
import numpy as np
import pandas as pd
import xgboost
from conversion_run import ConversionRun, write_seen
from mlflow.models import ModelSignature, infer_signature
from mlflow.types import ColSpec, Schema, TensorSpec
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import ColumnTransformer
from sklearn.datasets import load_diabetes, load_wine
from sklearn.ensemble import (
    ExtraTreesRegressor,
    GradientBoostingClassifier,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    IsolationForest,
    RandomForestClassifier,
    StackingClassifier,
    VotingClassifier,
)
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.neighbors import KNeighborsClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import (
    FunctionTransformer,
    KBinsDiscretizer,
    OneHotEncoder,
    QuantileTransformer,
    StandardScaler,
)
from sklearn.svm import SVC

WINES, CULTIVARS = load_wine(as_frame=True, return_X_y=True)
PATIENTS, PROGRESS = load_diabetes(as_frame=True, return_X_y=True)
NAMES = np.array(["barolo", "grignolino", "barbera"])[CULTIVARS]
MIXED = WINES[["alcohol", "proline"]].assign(
    **{
        "région / 1": np.where(WINES["hue"] > 1, "nord", "süd"),
        "n": WINES["magnesium"].astype("int64"),
    }
)
DATED = WINES[["alcohol", "proline"]].assign(harvest=pd.Timestamp("2026-09-01"))
LISTED = WINES[["alcohol", "proline"]].assign(notes=[[1.5, 2.5]] * len(WINES))
BOTH = np.column_stack([PROGRESS, -2.0 * PROGRESS])
TEXTS = pd.DataFrame({"text": ["good red wine", "bad white wine", "sweet rosé", "dry red"] * 20})
TASTES = np.array([1, 0, 1, 0] * 20)


def logistic() -> Any:
    """Plain logistic regression on scaled columns."""
    return make_pipeline(StandardScaler(), LogisticRegression(max_iter=500))


def pair() -> "list[tuple[str, Any]]":
    """Two classifiers for an ensemble."""
    return [
        ("a", LogisticRegression(max_iter=3000)),
        ("b", GradientBoostingClassifier(n_estimators=5, random_state=1)),
    ]


def xgb(**options: Any) -> Any:
    """A classifier of XGBoost."""
    return xgboost.XGBClassifier(n_estimators=30, random_state=1, **options)


def lgbm() -> Any:
    """A classifier of LightGBM."""
    return lightgbm.LGBMClassifier(n_estimators=20, verbose=-1, n_jobs=1)


def encoder() -> Any:
    """Columns of numbers and of text, with names that no converter knows."""
    numbers = ("numbers", StandardScaler(), ["alcohol", "proline", "n"])
    return ColumnTransformer([numbers, ("text", OneHotEncoder(handle_unknown="ignore"), ["région / 1"])])


def numbers_alone() -> Any:
    """A model that gets a column which it does not look at."""
    return make_pipeline(ColumnTransformer([("n", StandardScaler(), ["alcohol", "proline"])]), LogisticRegression())


CLASSES = (WINES, CULTIVARS)
MODELS: "dict[str, tuple[Any, Any, Any]]" = {
    "logistic regression": (logistic, *CLASSES),
    "scaler before XGBoost": (lambda: make_pipeline(StandardScaler(), xgb()), *CLASSES),
    "function of NumPy": (
        lambda: make_pipeline(FunctionTransformer(np.log1p), LogisticRegression(max_iter=500)), *CLASSES,
    ),
    "labels as text": (logistic, WINES, NAMES),
    "matrix instead of columns": (logistic, WINES.to_numpy(), CULTIVARS),
    "numbers and text": (lambda: make_pipeline(encoder(), LogisticRegression(max_iter=500)), MIXED, CULTIVARS),
    "ridge regression": (lambda: make_pipeline(StandardScaler(), Ridge()), PATIENTS, PROGRESS),
    "forest": (lambda: RandomForestClassifier(n_estimators=20, random_state=1), *CLASSES),
    "extra trees": (lambda: ExtraTreesRegressor(n_estimators=20, random_state=1), PATIENTS, PROGRESS),
    "gradient boosting": (lambda: GradientBoostingClassifier(n_estimators=20, random_state=1), *CLASSES),
    "support vectors": (lambda: make_pipeline(StandardScaler(), SVC(probability=True, random_state=1)), *CLASSES),
    "nearest neighbours": (lambda: make_pipeline(StandardScaler(), KNeighborsClassifier()), *CLASSES),
    "neural network": (
        lambda: make_pipeline(StandardScaler(), MLPClassifier((8,), max_iter=300, random_state=1)), *CLASSES,
    ),
    "calibrated forest": (
        lambda: CalibratedClassifierCV(RandomForestClassifier(n_estimators=10, random_state=1), cv=3), *CLASSES,
    ),
    "stacking": (lambda: StackingClassifier(pair()), *CLASSES),
    "soft voting": (lambda: VotingClassifier(pair(), voting="soft"), *CLASSES),
    "isolation forest": (lambda: IsolationForest(n_estimators=10, random_state=1), *CLASSES),
    "XGBoost classifier": (xgb, *CLASSES),
    "XGBoost regressor": (lambda: xgboost.XGBRegressor(n_estimators=20), PATIENTS, PROGRESS),
    "XGBoost booster": ("xgboost", WINES, (CULTIVARS == 1).astype(int)),
    "LightGBM classifier": (lgbm, *CLASSES),
    "LightGBM regressor": (
        lambda: lightgbm.LGBMRegressor(n_estimators=20, verbose=-1, n_jobs=1), PATIENTS, PROGRESS,
    ),
    "LightGBM booster": ("lightgbm", WINES, (CULTIVARS == 1).astype(int)),
    "scaler before a forest": (
        lambda: make_pipeline(StandardScaler(), RandomForestClassifier(n_estimators=20, random_state=1)), *CLASSES,
    ),
    "quantile transformer": (
        lambda: make_pipeline(QuantileTransformer(n_quantiles=50), LogisticRegression(max_iter=500)), *CLASSES,
    ),
    "calibrated pipeline": (lambda: CalibratedClassifierCV(logistic(), cv=3), *CLASSES),
    "histogram boosting": (lambda: HistGradientBoostingClassifier(max_iter=10), *CLASSES),
    "histogram regression": (lambda: HistGradientBoostingRegressor(max_iter=10), PATIENTS, PROGRESS),
    "sparse bins": (lambda: make_pipeline(KBinsDiscretizer(5), LogisticRegression(max_iter=500)), *CLASSES),
    "ordinal bins": (
        lambda: make_pipeline(KBinsDiscretizer(5, encode="ordinal"), LogisticRegression(max_iter=500)), *CLASSES,
    ),
    "dense bins": (
        lambda: make_pipeline(KBinsDiscretizer(5, encode="onehot-dense"), LogisticRegression(max_iter=500)), *CLASSES,
    ),
    "TF-IDF that keeps capitals": (
        lambda: make_pipeline(
            ColumnTransformer([("t", TfidfVectorizer(lowercase=False), "text")]), LogisticRegression()
        ),
        TEXTS, TASTES,
    ),
    "XGBoost gbtree": (lambda: xgb(booster="gbtree"), *CLASSES),
    "hard voting": (lambda: VotingClassifier(pair()), *CLASSES),
    "XGBoost dart": (lambda: xgb(booster="dart"), *CLASSES),
    "XGBoost gblinear": (lambda: xgb(booster="gblinear"), *CLASSES),
    "TF-IDF": (
        lambda: make_pipeline(ColumnTransformer([("t", TfidfVectorizer(), "text")]), LogisticRegression()),
        TEXTS, TASTES,
    ),
    "one class": (lambda: RandomForestClassifier(n_estimators=5, random_state=1), WINES, 0 * CULTIVARS),
    "one class as text": (lambda: RandomForestClassifier(n_estimators=5), WINES, np.full(len(WINES), "barolo")),
    "several numbers": (lambda: make_pipeline(StandardScaler(), Ridge()), PATIENTS, BOTH),
    "several labels": (
        lambda: RandomForestClassifier(n_estimators=5), WINES, np.column_stack([CULTIVARS, CULTIVARS]),
    ),
    "a column of dates": (numbers_alone, DATED, CULTIVARS),
    "a column of lists": (numbers_alone, LISTED, CULTIVARS),
    "an optional column": (numbers_alone, MIXED, CULTIVARS),
    "a matrix by name": (logistic, WINES.to_numpy(), CULTIVARS),
}  # fmt: skip
WITHOUT_SIGNATURE = "no signature"


def fitted(name: str) -> "tuple[Any, Any, Any, Any]":
    """A model, its flavor, the inputs and the predictions."""
    make, inputs, target = MODELS["logistic regression" if name == WITHOUT_SIGNATURE else name]
    if make == "xgboost":
        data = xgboost.DMatrix(inputs, target)
        model = xgboost.train({"objective": "binary:logistic"}, data, 20)
        return model, mlflow.xgboost, inputs, model.predict(data)
    if make == "lightgbm":
        model = lightgbm.train({"objective": "binary", "verbose": -1}, lightgbm.Dataset(inputs, target), 20)
        return model, mlflow.lightgbm, inputs, model.predict(inputs)
    model = make().fit(inputs, target)
    library = type(model).__module__.partition(".")[0]
    flavor = {"xgboost": mlflow.xgboost, "lightgbm": mlflow.lightgbm}.get(library, mlflow.sklearn)
    return model, flavor, inputs, model.predict(inputs)


def signature_of(name: str, inputs: Any, predictions: Any) -> Any:
    """The signature with which a model is saved."""
    if name == WITHOUT_SIGNATURE:
        return None
    found = infer_signature(inputs, predictions)
    if name == "a matrix by name":
        return ModelSignature(inputs=Schema([TensorSpec(inputs.dtype, (-1, inputs.shape[1]), "wines")]))
    if name == "an optional column":
        used = ("alcohol", "proline")
        found.inputs = Schema([ColSpec(spec.type, spec.name, required=spec.name in used) for spec in found.inputs])
    return found


def body(rows: Any) -> str:
    """Rows as a request."""
    if isinstance(rows, np.ndarray):
        return json.dumps({"inputs": rows.tolist()})
    return json.dumps({"dataframe_split": json.loads(rows.to_json(orient="split", index=False, double_precision=15))})


def seen(name: str, folder: Path, programs: Any, edge: Path) -> "dict[str, Any]":
    """What is seen of a model: a refusal, or the answers of both models to the same requests."""
    model, flavor, inputs, predictions = fitted(name)
    options: dict[str, Any] = {"serialization_format": "cloudpickle"} if flavor is mlflow.sklearn else {}
    options |= {"signature": signature_of(name, inputs, predictions), "pip_requirements": ["scikit-learn"]}
    flavor.save_model(model, str(folder / "original"), **options)
    return ConversionRun(
        folder=folder,
        example=body(inputs[:5]),
        recorded=body(inputs),
        request=programs["messages"].ConvertModel,
        programs=programs,
        edge=edge,
        logged="model.onnx",
        runtime="onnxruntime",
    ).seen()


def main(programs: Any, edge: Path, names: "list[str]", out: Path) -> None:
    """Write what is seen of each model."""
    write_seen(names, lambda name, folder: seen(name, folder, programs, edge), out)
