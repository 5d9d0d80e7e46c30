"""Logs a pipeline whose features come from a column of dates."""

import mlflow
import numpy as np
import pandas as pd
from mlflow.models import infer_signature
from sklearn.compose import make_column_transformer
from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer


def calendar(table: pd.DataFrame) -> pd.DataFrame:
    """The weekday, the month, and the hour of each date."""
    at = table["at"].dt
    return pd.DataFrame({"weekday": at.dayofweek, "month": at.month, "hour": at.hour})


def main() -> None:
    """Fit the demand of 300 hours."""
    table = pd.DataFrame({"at": pd.date_range("2026-01-01T05:30", periods=300, freq="7h"), "price": 1.5})
    table["price"] += np.arange(300) % 5 / 4
    demand = table["at"].dt.hour * 2.0 + table["at"].dt.dayofweek - table["price"]
    features = make_column_transformer((FunctionTransformer(calendar), ["at"]), remainder="passthrough")
    model = make_pipeline(features, Ridge()).fit(table, demand)
    with mlflow.start_run():
        mlflow.sklearn.log_model(
            model,
            name="demand",
            serialization_format="cloudpickle",
            signature=infer_signature(table, model.predict(table)),
            input_example=table.head(4),
        )


if __name__ == "__main__":
    main()
