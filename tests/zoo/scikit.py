"""Logs a classifier or a regressor of scikit-learn, in the format skops or cloudpickle."""

import sys

import mlflow
import numpy as np
import pandas as pd
from mlflow.models import infer_signature
from sklearn.datasets import load_wine
from sklearn.ensemble import GradientBoostingRegressor, RandomForestClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

TRUSTED = [
    "_loss.CyHalfSquaredError",
    "numpy.dtype",
    "sklearn._loss.link.IdentityLink",
    "sklearn._loss.link.Interval",
    "sklearn._loss.loss.HalfSquaredError",
    "sklearn.ensemble._forest.RandomForestClassifier",
    "sklearn.tree._tree.Tree",
]


def main(kind: str, serialization: str) -> None:
    """Fit on all wines: the cultivar, or the alcohol from the other columns."""
    wines, cultivars = load_wine(as_frame=True, return_X_y=True)
    if kind == "classifier":
        model = make_pipeline(StandardScaler(), RandomForestClassifier(n_estimators=8, random_state=7))
        target: pd.Series = cultivars.map(np.array(["barolo", "grignolino", "barbera"]).__getitem__)
    else:
        wines, target = wines.drop(columns="alcohol"), wines["alcohol"]
        model = make_pipeline(StandardScaler(), GradientBoostingRegressor(n_estimators=12, random_state=7))
    model.fit(wines, target)
    options = {"skops_trusted_types": TRUSTED} if serialization == "skops" else {}
    with mlflow.start_run():
        mlflow.sklearn.log_model(
            model,
            name="wine",
            serialization_format=serialization,
            signature=infer_signature(wines, model.predict(wines)),
            input_example=wines.head(4),
            **options,
        )


if __name__ == "__main__":
    main(*sys.argv[1:])
