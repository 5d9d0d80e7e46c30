"""Contract: which flavor of MLflow logs which class, and in which format it loads again."""

import json
import os
import subprocess
import textwrap
from pathlib import Path
from typing import Any

import pytest

from tests.contracts.mlflow_interpreter import QUIET, MlflowInterpreter

# Every package here is small. The others of the table are held by the signatures of their flavors.
SMALL = ("lightgbm", "onnx", "onnxruntime", "statsmodels", "xgboost-cpu")
SIGNATURES = textwrap.dedent("""
    import ast
    import importlib
    import importlib.util
    import inspect
    import json
    import pathlib
    import sys

    table, formats = json.loads(sys.argv[1])
    found = {}
    for flavor in table:
        folder = pathlib.Path(importlib.util.find_spec("mlflow").origin).parent / flavor
        # Some flavors cannot be imported where their package is missing.
        functions = [
            node
            for file in folder.glob("*.py")
            for node in ast.parse(file.read_text()).body
            if isinstance(node, ast.FunctionDef) and node.name == "log_model"
        ]
        names = [argument.arg for argument in functions[0].args.args]
        found[flavor] = [names[0] not in ("artifact_path", "name"), "name" in names, "input_example" in names]
        if flavor in formats:
            found[flavor].append("serialization_format" in names)
    print(json.dumps(found))
""")
MODELS = textwrap.dedent("""
    import lightgbm
    import numpy as np
    import onnx
    import pandas as pd
    import statsmodels.api as sm
    import xgboost
    from onnx import TensorProto, helper
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler
    from sklearn.tree import DecisionTreeRegressor

    X = pd.DataFrame({"x": np.arange(40.0)})
    Y = 2 * X["x"]

    def lightgbm_sklearn():
        return lightgbm.LGBMRegressor(n_estimators=3, verbose=-1).fit(X, Y), X

    def lightgbm_booster():
        return lightgbm.train({"verbose": -1}, lightgbm.Dataset(X, Y), num_boost_round=3), X

    def xgboost_sklearn():
        return xgboost.XGBRegressor(n_estimators=3).fit(X, Y), X

    def statsmodels_results():
        return sm.OLS(Y, X).fit(), X

    def sklearn_pipeline():
        return make_pipeline(StandardScaler(), DecisionTreeRegressor(max_depth=2)).fit(X, Y), X

    def onnx_graph():
        shape = [None, 1]
        graph = helper.make_graph(
            [helper.make_node("Identity", ["x"], ["y"])],
            "identity",
            [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
            [helper.make_tensor_value_info("y", TensorProto.FLOAT, shape)],
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
        return model, np.ones((2, 1), dtype="float32")
""")
EXPECTED = {
    "lightgbm_sklearn": "lightgbm",
    "lightgbm_booster": "lightgbm",
    "xgboost_sklearn": "xgboost",
    "statsmodels_results": "statsmodels",
    "sklearn_pipeline": "sklearn",
    "onnx_graph": "onnx",
}


@pytest.fixture(scope="module")
def packages(
    mlflow: MlflowInterpreter, local_store: MlflowInterpreter, tmp_path_factory: pytest.TempPathFactory
) -> MlflowInterpreter:
    """The environment of examples/wine, and beside it small packages that make models."""
    folder = tmp_path_factory.mktemp("flavors") / "packages"
    argv = ("uv", "pip", "install", "--quiet", "--python", mlflow.python, "--target", folder, *SMALL)
    subprocess.run(argv, check=True, env=os.environ)
    return local_store.on(**local_store.variables, PYTHONPATH=str(folder), **QUIET)


def test_the_flavors_of_the_table_take_a_model_a_name_and_an_example(mlflow: MlflowInterpreter, tmp_path: Path) -> None:
    """
    MLflow has every flavor of the table, its model is the first argument, and a format can be chosen where we do.
    """
    code = "import json, payloads.models.model_function as c;"
    code += " print(json.dumps([sorted(set(c.FLAVORS.values())), c.FORMATS]))"
    table = mlflow.run("-c", code, cwd=tmp_path, PYTHONPATH=str(mlflow.payloads.parent)).stdout.splitlines()[-1]
    flavors, formats = json.loads(table)

    done = mlflow.run("-c", SIGNATURES, table, cwd=tmp_path)

    assert {flavor: [True] * (4 if flavor in formats else 3) for flavor in flavors} == json.loads(done.stdout)


@pytest.mark.extended
@pytest.mark.parametrize("function", EXPECTED)
def test_a_class_is_logged_by_its_flavor_and_answers(
    packages: MlflowInterpreter, tmp_path: Path, function: str
) -> None:
    """
    The model that a real package makes is logged by that package's flavor, and loads and answers again.
    """
    (tmp_path / "models_of_ours.py").write_text(MODELS)
    request = {"function": f"models_of_ours:{function}", "folder": str(tmp_path), "name": "m"}
    answer = tmp_path / "answer.json"

    subprocess.run(
        (packages.python, packages.payloads, "call-function", answer),
        cwd=tmp_path,
        env={**os.environ, **packages.variables},
        input=json.dumps(request),
        text=True,
        capture_output=True,
        check=False,
    )
    response = json.loads(answer.read_text())
    assert "value" in response, response
    model = tmp_path / "model"
    ask(packages, "download-model", tmp_path, model_id=response["value"]["model_id"], destination=str(model))
    requests = ask(packages, "describe-cases", tmp_path, model=str(model))["requests"]
    (body,) = ask(packages, "answer", tmp_path, model=str(model), requests=requests)["answers"]
    rows = body["predictions"]["y"] if function == "onnx_graph" else body["predictions"]

    assert f"loader_module: mlflow.{EXPECTED[function]}" in (model / "MLmodel").read_text()
    assert (2 if function == "onnx_graph" else 40) == len(rows)


CHOOSING = textwrap.dedent("""
    import pandas as pd
    from sklearn.linear_model import LinearRegression
    from sklearn.tree import DecisionTreeRegressor

    X = pd.DataFrame({"x": [0.0, 1.0, 2.0]})

    class Twice(LinearRegression):
        pass  # a class of the project, which skops trusts only if it is told to

    def tree():
        return DecisionTreeRegressor(random_state=7).fit(X, X["x"])

    def rejected():
        return tree(), X

    def trusted():
        return tree(), X, {"skops_trusted_types": ["sklearn.tree._tree.Tree"]}

    def own():
        return Twice().fit(X, 2 * X["x"]), X

    def line():
        return LinearRegression().fit(X, 2 * X["x"])

    def as_it_is():
        return line(), X

    def chosen():
        return line(), X, {"serialization_format": "skops", "metadata": {"by": "us"}}

    def without_example():
        return line(), None, {"serialization_format": "pickle"}

    def named():
        return line(), X, {"name": "mine"}

    def unknown():
        return line(), X, {"format": "skops"}
""")


@pytest.mark.parametrize(
    ("function", "serialization", "rejected"),
    [
        pytest.param("as_it_is", "skops", "", marks=pytest.mark.extended),
        ("rejected", "cloudpickle", "sklearn.tree._tree.Tree"),
        pytest.param("trusted", "skops", "", marks=pytest.mark.extended),
        pytest.param("own", "cloudpickle", "choosing.Twice", marks=pytest.mark.extended),
        ("chosen", "skops", ""),
        pytest.param("without_example", "pickle", "", marks=pytest.mark.extended),
    ],
)
def test_a_function_chooses_how_its_model_is_kept(
    local_store: MlflowInterpreter, tmp_path: Path, function: str, serialization: str, rejected: str
) -> None:
    """
    MLflow's default format where it loads the model again, else cloudpickle with the type that was rejected.

    The function may choose the format, or trust the type. The model that is logged loads again in each case.
    """
    (tmp_path / "choosing.py").write_text(CHOOSING)

    made = local_store.ask("call-function", function=f"choosing:{function}", folder=str(tmp_path), name="m")
    local_store.ask("download-model", model_id=made["model_id"], destination=str(tmp_path / "model"))

    mlmodel = (tmp_path / "model" / "MLmodel").read_text()
    assert (True, function == "chosen") == (f"serialization_format: {serialization}\n" in mlmodel, "by: us" in mlmodel)
    assert (serialization if rejected else "", True) == (made["saved_as"], rejected in made["reason"]), made
    if function not in ("without_example", "own"):
        requests = local_store.ask("describe-cases", model=str(tmp_path / "model"))["requests"]
        (body,) = local_store.ask("answer", model=str(tmp_path / "model"), requests=requests)["answers"]
        assert 3 == len(body["predictions"])


@pytest.mark.parametrize(
    ("function", "why"),
    [
        pytest.param(
            "named",
            "`choosing:named` returned `name` beside its model, which the release sets itself",
            marks=pytest.mark.extended,
        ),
        (
            "unknown",
            "`choosing:unknown` returned `format` beside its model, which mlflow.sklearn.log_model does not take",
        ),
    ],
)
def test_what_a_flavor_is_not_told_is_refused(
    local_store: MlflowInterpreter, tmp_path: Path, function: str, why: str
) -> None:
    """
    A word that `log_model` does not know, or that belongs to the release, is named before anything is logged.
    """
    (tmp_path / "choosing.py").write_text(CHOOSING)

    refused = local_store.refuse("call-function", function=f"choosing:{function}", folder=str(tmp_path), name="m")

    assert ("invalid", why) == (refused["kind"], refused["message"])


def ask(packages: MlflowInterpreter, verb: str, scratch: Path, **request: Any) -> dict[str, Any]:
    """A payload's answer, asked where the packages beside the environment are seen."""
    answer = scratch / f"{verb}.json"
    subprocess.run(
        (packages.python, packages.payloads, verb, answer),
        cwd=scratch,
        env={**os.environ, **packages.variables},
        input=json.dumps(request),
        text=True,
        capture_output=True,
        check=False,
    )
    response = json.loads(answer.read_text())
    assert "value" in response, response
    return dict(response["value"])
