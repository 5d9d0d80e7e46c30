"""Logs a model that is right in training, and is served with the fault that the variable FAULT names."""

import ctypes
import importlib
import os
import random
import threading
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import mlflow
import pandas as pd
from mlflow.models import infer_signature

EXAMPLE = pd.DataFrame({"width": [1.0, 2.5, 4.0], "age": [7.0, 3.0, 2.0]})
NOWHERE = "http://192.0.2.1/"  # an address that documents use, and no machine has (RFC 5737)


def planted() -> str:
    """The fault of a server of this program's; training and MLflow's own commands have none."""
    served = "MLFLOW_UV_MODEL" in os.environ or Path("/opt/mlflow-uv").is_dir()
    return os.environ["FAULT"] if served else "none"


class Faulty(mlflow.pyfunc.PythonModel):
    """Answers with the sum of ten times the width and the age."""

    def load_context(self, context: Any) -> None:  # MLflow's signature
        """Fail as a model fails that lacks something where it is served."""
        self.requests, self.kept = 0, []
        match planted():
            case "system library":
                ctypes.CDLL("libplanted.so.1")
            case "package":
                importlib.import_module("scaler_of_another_team")
            case "phones home":
                urllib.request.urlopen(NOWHERE, timeout=20)
            case "hangs":
                threading.Event().wait(600)

    def predict(self, context: Any, model_input: pd.DataFrame, params: Any = None) -> list[float]:
        """Answer, with the fault."""
        self.requests += 1
        answers = [10 * row.width + row.age for row in model_input.itertuples()]
        match planted():
            case "scaler":
                return [1.001 * answer for answer in answers]
            case "column order":
                first, second = sorted(model_input.columns)
                return list(10 * model_input[first] + model_input[second])
            case "NaN":
                return [float("nan") for _ in answers]
            case "random":
                return [random.random() for _ in answers]  # no secret
            case "slow":
                threading.Event().wait(4)
            case "third request" if self.requests == 3:
                os._exit(7)
            case "leaks":
                self.kept.append(b"x" * (200 << 20))
            case "one case" if len(answers) == 0:
                return [0.0]
            case "writes" | "writes while verified":
                folder = os.environ.get("MLFLOW_UV_MODEL", "/opt/model")
                Path(folder, "state.txt").write_text(str(self.requests))
        return answers

    def predict_stream(self, context: Any, model_input: dict[str, float], params: Any = None) -> Iterator[float]:
        """Answer a single row with ten times its width, and then its age."""
        yield 10 * model_input["width"]
        yield model_input["age"] + (1.0 if planted() == "second chunk" else 0.0)


def main() -> None:
    """Log it with a signature."""
    with mlflow.start_run():
        mlflow.pyfunc.log_model(
            name="faulty",
            python_model=Faulty(),
            signature=infer_signature(EXAMPLE, [17.0]),
            input_example=EXAMPLE,
        )


if __name__ == "__main__":
    main()
