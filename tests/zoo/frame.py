"""Logs a model that answers with a table of several types, dates and missing values among them."""

from typing import Any

import mlflow
import pandas as pd
from mlflow.models import infer_signature


class Labels(mlflow.pyfunc.PythonModel):
    """Answers with the size, a label and a date for each row."""

    def predict(self, context: Any, model_input: pd.DataFrame, params: Any = None) -> pd.DataFrame:
        """A row for each row."""
        x = model_input["x"]
        return pd.DataFrame(
            {
                "doubled": 2 * x,
                "label": ["large" if value > 2 else None for value in x],
                "on": pd.Timestamp("2026-01-01") + pd.to_timedelta(model_input["days"], unit="D"),
                "known": x > 0,
            }
        )


def main() -> None:
    """Log it."""
    example = pd.DataFrame({"x": [1.0, 2.5], "days": [3, 40]})
    with mlflow.start_run():
        mlflow.pyfunc.log_model(
            name="labels",
            python_model=Labels(),
            signature=infer_signature(example, Labels().predict(None, example)),
            input_example=example,
        )


if __name__ == "__main__":
    main()
