"""Logs a linear regression of statsmodels."""

import mlflow
import numpy as np
import pandas as pd
import statsmodels.api as sm
from mlflow.models import infer_signature


def main() -> None:
    """Fit ordinary least squares; the column of ones is one of the inputs."""
    rng = np.random.default_rng(7)
    table = sm.add_constant(pd.DataFrame({"width": rng.normal(size=80), "age": rng.integers(1, 90, size=80) / 10}))
    yielded = 3 * table["width"] - table["age"] + 2
    model = sm.OLS(yielded, table).fit()
    with mlflow.start_run():
        mlflow.statsmodels.log_model(
            model,
            name="yield",
            signature=infer_signature(table, model.predict(table)),
            input_example=table.head(4),
        )


if __name__ == "__main__":
    main()
