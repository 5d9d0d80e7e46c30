"""Contract: what a model answers in process, with the code that MLflow's scoring server answers with."""

import json
import textwrap
from pathlib import Path

import pytest

from tests.contracts.islands import Mlflow

LOADER = textwrap.dedent("""
    class Model:
        def predict(self, frame):
            print("a model that talks")
            return (frame["x"] * 2).tolist()

    def _load_pyfunc(path):
        return Model()
""")


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A model whose code is a module called `models`, as one of our own is."""
    folder = tmp_path / "model"
    (folder / "code").mkdir(parents=True)
    (folder / "code" / "models.py").write_text(LOADER)
    (folder / "MLmodel").write_text("flavors:\n  python_function:\n    loader_module: models\n    code: code\n")
    return folder


def test_the_models_own_example_is_answered(mlflow: Mlflow, wine_model: Path) -> None:
    """
    The example that came with a model is its first case, and is answered in the shape of /invocations.
    """
    cases, answered = mlflow.ask(
        "several",
        questions=[
            ["describe-cases", {"model": str(wine_model)}],
            [
                "answer",
                {
                    "model": str(wine_model),
                    "requests": [json.loads((wine_model / "serving_input_example.json").read_text())],
                },
            ],
        ],
    )["answers"]

    assert (True, True, ["dataframe_split"]) == (
        cases["has_signature"],
        cases["has_example"],
        list(cases["requests"][0]),
    )
    assert [{"predictions"}] == [set(answer) for answer in answered["answers"]]
    assert 5 == len(answered["answers"][0]["predictions"])


def test_a_models_module_is_not_mistaken_for_one_of_ours(mlflow: Mlflow, model: Path) -> None:
    """
    A model whose code is called like one of the payloads' modules finds its own; what it prints spoils nothing.
    """
    answered = mlflow.ask(
        "answer", model=str(model), requests=[{"dataframe_records": [{"x": 4}]}, {"inputs": {"x": [1]}}]
    )

    assert [{"predictions": [8]}, {"predictions": [2]}] == answered["answers"]


def test_a_model_without_an_example_has_no_cases(mlflow: Mlflow, model: Path) -> None:
    """
    No example and no signature are an answer, not an error.
    """
    cases = mlflow.ask("describe-cases", model=str(model))

    assert {"has_signature": False, "has_example": False, "requests": []} == cases


def test_a_model_that_cannot_be_loaded_says_why(mlflow: Mlflow, model: Path) -> None:
    """
    What the model's code raises while it is loaded is in the message, and the traceback is in the detail.
    """
    (model / "code" / "models.py").write_text("import a_package_that_was_forgotten\n")

    refused = mlflow.refuse("answer", model=str(model), requests=[])

    assert "cannot-load" == refused["kind"]
    assert "ModuleNotFoundError: No module named 'a_package_that_was_forgotten'" in refused["message"]
    assert "Traceback" in refused["detail"]


def test_a_model_that_cannot_predict_names_the_request_and_the_cause(mlflow: Mlflow, model: Path) -> None:
    """
    The first request without an answer is named by its number, with the line that the model died of.
    """
    good, bad = {"dataframe_records": [{"x": 4}]}, {"dataframe_records": [{"y": 4}]}

    refused = mlflow.refuse("answer", model=str(model), requests=[good, bad])

    assert ("cannot-predict", "the model cannot answer request 2: KeyError: 'x'") == (
        refused["kind"],
        refused["message"],
    )
