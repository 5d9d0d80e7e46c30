"""A model as code: a weighted sum of columns."""

import json
from pathlib import Path
from typing import Any

import mlflow
import pandas as pd


class Weighted(mlflow.pyfunc.PythonModel):
    """Multiplies each column by its weight."""

    def load_context(self, context: Any) -> None:
        """Read the weights."""
        self.weights = json.loads(Path(context.artifacts["weights"]).read_text())

    def predict(self, context: Any, model_input: pd.DataFrame) -> pd.Series:
        """Add the columns."""
        return sum(weight * model_input[name] for name, weight in self.weights.items())


mlflow.models.set_model(Weighted())
