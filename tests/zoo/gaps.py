"""Logs a pipeline whose columns are strings, booleans, integers and numbers, with missing values in most."""

import mlflow
import numpy as np
import pandas as pd
from mlflow.models import infer_signature
from sklearn.compose import make_column_transformer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

PASSENGERS = pd.DataFrame(
    {
        "port": ["Southampton", "Cherbourg", None, "Queenstown"] * 15,
        "Größe der Kabine": ["klein", None, "groß", "klein", "groß"] * 12,
        "age": [22.0, 38.0, np.nan, 35.0, 54.0, np.nan] * 10,
        "fare": np.linspace(5.0, 80.0, 60),
        "siblings": [0.0, 1.0, np.nan] * 20,
        "alone": [True, False, True] * 20,
    }
)
SURVIVED = np.arange(60) % 7 < 3


def main() -> None:
    """Impute, encode, and fit a logistic regression."""
    model = make_pipeline(
        make_column_transformer(
            (OneHotEncoder(handle_unknown="ignore"), ["port", "Größe der Kabine"]),
            (make_pipeline(SimpleImputer(), StandardScaler()), ["age", "fare", "siblings"]),
            remainder="passthrough",
        ),
        LogisticRegression(),
    )
    model.fit(PASSENGERS, SURVIVED)
    with mlflow.start_run():
        mlflow.sklearn.log_model(
            model,
            name="survival",
            serialization_format="cloudpickle",
            pyfunc_predict_fn="predict_proba",
            signature=infer_signature(PASSENGERS, model.predict_proba(PASSENGERS)),
            input_example=PASSENGERS.head(6),
        )


if __name__ == "__main__":
    main()
