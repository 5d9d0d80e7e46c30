"""Logs a model whose code is a file, with an artifact."""

import json
from pathlib import Path
from tempfile import TemporaryDirectory

import mlflow
import pandas as pd


def main() -> None:
    """Write the artifact, and log the file beside this one."""
    with mlflow.start_run(), TemporaryDirectory() as folder:  # a file in the checkout would be an input of training
        weights = Path(folder, "weights.json")
        weights.write_text(json.dumps({"width": 3.0, "age": -1.0}))
        mlflow.pyfunc.log_model(
            name="weighted",
            python_model="weighted_sum.py",
            artifacts={"weights": str(weights)},
            input_example=pd.DataFrame({"width": [1.0, 2.0], "age": [4.0, 2.5]}),
        )


if __name__ == "__main__":
    main()
