"""Logs a classifier of XGBoost or a regressor of LightGBM."""

import sys

import lightgbm
import mlflow
import xgboost
from mlflow.models import infer_signature
from sklearn.datasets import load_wine


def main(library: str) -> None:
    """Fit few and shallow trees."""
    wines, cultivars = load_wine(as_frame=True, return_X_y=True)
    match library:
        case "xgboost":
            model = xgboost.XGBClassifier(n_estimators=8, max_depth=3, random_state=7).fit(wines, cultivars)
            log, guesses = mlflow.xgboost.log_model, model.predict(wines)
        case "booster":
            data = xgboost.DMatrix(wines, label=cultivars)
            model = xgboost.train({"max_depth": 3, "objective": "multi:softprob", "num_class": 3}, data, 8)
            log, guesses = mlflow.xgboost.log_model, model.predict(data)
        case _:
            model = lightgbm.LGBMRegressor(n_estimators=8, num_leaves=7, random_state=7, verbose=-1)
            log, guesses = mlflow.lightgbm.log_model, model.fit(wines, cultivars).predict(wines)
    with mlflow.start_run():
        log(model, name="wine", signature=infer_signature(wines, guesses), input_example=wines.head(4))


if __name__ == "__main__":
    main(sys.argv[1])
