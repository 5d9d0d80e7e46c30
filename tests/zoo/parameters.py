"""Logs a function of a table with parameters, some of which are lists."""

from typing import Any

import mlflow
import pandas as pd
from mlflow.models import infer_signature


class Scaled(mlflow.pyfunc.PythonModel):
    """Scales a column, with an offset and a label for each row."""

    def predict(self, context: Any, model_input: pd.DataFrame, params: dict[str, Any] | None = None) -> list[Any]:
        """Apply the parameters."""
        params = params or {}
        label = "/".join(params["labels"])
        return [f"{label}:{params['factor'] * x + params['offset']:g}" for x in model_input["x"]]


def main() -> None:
    """Log it with defaults of each parameter."""
    example = pd.DataFrame({"x": [1.0, 2.5]})
    params = {"factor": 2.0, "offset": 3, "labels": ["a", "b"], "strict": True}
    signature = infer_signature(example, ["a/b:5"], params=params)
    with mlflow.start_run():
        mlflow.pyfunc.log_model(
            name="scaled",
            python_model=Scaled(),
            signature=signature,
            input_example=(example, {"factor": 4.0, "offset": 1, "labels": ["x"]}),
        )


if __name__ == "__main__":
    main()
