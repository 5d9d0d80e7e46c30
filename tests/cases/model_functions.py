"""A module with functions that return models, and functions that do not."""

from .sample_project import SampleProject

MODULE = """\
import time

import mlflow
import pandas as pd
from sklearn.tree import DecisionTreeRegressor

X = pd.DataFrame({"x": [1.0, 2.5, 4.0]})


class Double(mlflow.pyfunc.PythonModel):
    def predict(self, context, model_input, params=None):
        return [2.0 * x for x in model_input["x"]]


def double():
    return Double(), X


def tree():
    with mlflow.start_run():
        mlflow.log_metric("depth", 2)
        return DecisionTreeRegressor(max_depth=2, random_state=7).fit(X, X["x"]), X


def bare():
    return DecisionTreeRegressor(random_state=7).fit(X, X["x"])


def halve(model_input: list[float]) -> list[float]:
    return [x / 2 for x in model_input]


def plain():
    return halve, [1.0, 5.0]


def logged():
    with mlflow.start_run():
        mlflow.pyfunc.log_model(name="other", python_model=Double(), input_example=X)
        return mlflow.pyfunc.log_model(name="mine", python_model=Double(), input_example=X)


def unknown():
    return {"weights": [1, 2]}


def nothing():
    return None


def fails():
    mlflow.start_run()
    raise ValueError("there is no wine today")


def leaves():
    raise SystemExit(0)


def endless():
    mlflow.start_run()
    mlflow.log_param("a", 1)
    time.sleep(3600)
"""


def add_model_functions(sample: SampleProject) -> None:
    """Give the project a module that is no package of it."""
    (sample.folder / "model_functions.py").write_text(MODULE)
    sample.commit()
