"""
Trains a wine classifier with the library in `train.py LIBRARY`; the file SEED in its folder sets the random seed.

It is copied into the projects of the benchmark, and runs in their environments.
"""

import sys
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pandas as pd
from mlflow.models import infer_signature
from sklearn.datasets import load_wine
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

SEED = int((Path(__file__).parent / "SEED").read_text())
PARAMETERS = {"C": 0.5 + SEED / 100, "max_iter": 500, "random_state": SEED}


def main(library: str) -> None:
    """Train and log, with a signature and an example."""
    wines, cultivars = load_wine(as_frame=True, return_X_y=True)
    wines = wines.rename(columns=lambda name: name.replace("/", "_"))  # LightGBM accepts no slash
    module, model, answers = {"sklearn": pipeline, "lightgbm": trees, "onnx": graph}[library](wines, cultivars)
    with mlflow.start_run():
        signature, example = infer_signature(wines, answers), wines.head(5)
        module.log_model(model, name="wine", signature=signature, input_example=example)


def pipeline(wines: pd.DataFrame, cultivars: pd.Series) -> tuple[Any, Any, Any]:
    """MLflow's module, a model, and what it answers: scikit-learn's."""
    model = make_pipeline(StandardScaler(), LogisticRegression(**PARAMETERS)).fit(wines, cultivars)
    return mlflow.sklearn, model, model.predict(wines)


def trees(wines: pd.DataFrame, cultivars: pd.Series) -> tuple[Any, Any, Any]:
    """The same of LightGBM."""
    from lightgbm import LGBMClassifier  # noqa: PLC0415  # one project has it

    model = LGBMClassifier(n_estimators=100, random_state=SEED, subsample=0.8, subsample_freq=1, verbose=-1)
    model.fit(wines, cultivars)
    return mlflow.lightgbm, model, model.predict(wines)


def graph(wines: pd.DataFrame, cultivars: pd.Series) -> tuple[Any, Any, Any]:
    """The same of ONNX: the pipeline of scikit-learn, written down as one matrix product and the largest of three."""
    from onnx import TensorProto, checker, helper, numpy_helper  # noqa: PLC0415  # one project has it

    scaler, classifier = (step for _, step in pipeline(wines, cultivars)[1].steps)
    slopes = (classifier.coef_ / scaler.scale_).T
    offsets = classifier.intercept_ - scaler.mean_ @ slopes
    nodes = [
        helper.make_node("Gemm", ["wines", "slopes", "offsets"], ["scores"]),
        helper.make_node("ArgMax", ["scores"], ["cultivar"], axis=1, keepdims=0),
    ]
    weights = [
        numpy_helper.from_array(value.astype(np.float32), name)
        for name, value in (("slopes", slopes), ("offsets", offsets))
    ]
    given = [helper.make_tensor_value_info("wines", TensorProto.FLOAT, [None, wines.shape[1]])]
    answer = [helper.make_tensor_value_info("cultivar", TensorProto.INT64, [None])]
    onnx_graph = helper.make_graph(nodes, "wine", given, answer, weights)
    model = helper.make_model(onnx_graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    checker.check_model(model)
    scores = wines.to_numpy(np.float32) @ slopes.astype(np.float32) + offsets.astype(np.float32)
    return mlflow.onnx, model, pd.DataFrame({"cultivar": scores.argmax(axis=1)})


if __name__ == "__main__":
    main(sys.argv[1])
