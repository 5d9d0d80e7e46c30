"""Contract: what a model answers in process, with the code that MLflow's scoring server answers with."""

import json
import textwrap
from pathlib import Path

import pytest

from tests.contracts.mlflow_interpreter import MlflowInterpreter
from tests.contracts.payload_worker import ask_each

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


def test_the_models_own_example_is_answered(mlflow: MlflowInterpreter, wine_model: Path) -> None:
    """
    The example that came with a model is its first case, and is answered in the shape of /invocations.
    """
    example = json.loads((wine_model / "serving_input_example.json").read_text())

    cases, answered = ask_each(
        mlflow,
        ("describe-cases", {"model": str(wine_model)}),
        ("answer", {"model": str(wine_model), "requests": [example]}),
    )

    assert (True, True, ["dataframe_split"]) == (
        cases["has_signature"],
        cases["has_example"],
        list(cases["requests"][0]),
    )
    assert [{"predictions"}] == [set(answer) for answer in answered["answers"]]
    assert 5 == len(answered["answers"][0]["predictions"])


def test_a_models_module_is_not_mistaken_for_one_of_ours(mlflow: MlflowInterpreter, model: Path) -> None:
    """
    A model whose code is called like one of the payloads' modules finds its own; what it prints spoils nothing.
    """
    answered = mlflow.ask(
        "answer", model=str(model), requests=[{"dataframe_records": [{"x": 4}]}, {"inputs": {"x": [1]}}]
    )

    assert [{"predictions": [8]}, {"predictions": [2]}] == answered["answers"]


def test_a_model_without_an_example_has_no_cases(mlflow: MlflowInterpreter, model: Path) -> None:
    """
    No example and no signature are an answer, not an error.
    """
    cases = mlflow.ask("describe-cases", model=str(model))

    assert {"has_signature": False, "has_example": False, "requests": []} == cases


def test_a_model_that_cannot_be_loaded_says_why(mlflow: MlflowInterpreter, model: Path) -> None:
    """
    What the model's code raises while it is loaded is in the message, and the traceback is in the detail.
    """
    (model / "code" / "models.py").write_text("import a_package_that_was_forgotten\n")

    refused = mlflow.refuse("answer", model=str(model), requests=[])

    assert "cannot-load" == refused["kind"]
    assert "ModuleNotFoundError: No module named 'a_package_that_was_forgotten'" in refused["message"]
    assert "Traceback" in refused["detail"]


def test_a_model_that_cannot_predict_names_the_request_and_the_cause(mlflow: MlflowInterpreter, model: Path) -> None:
    """
    The first request without an answer is named by its number, with the line that the model died of.
    """
    good, bad = {"dataframe_records": [{"x": 4}]}, {"dataframe_records": [{"y": 4}]}

    refused = mlflow.refuse("answer", model=str(model), requests=[good, bad])

    assert ("cannot-predict", "the model cannot answer request 2: KeyError: 'x'") == (
        refused["kind"],
        refused["message"],
    )


TWINS = textwrap.dedent("""
    import pandas as pd

    class Model:
        def predict(self, frame):
            columns = [1, "1"] if frame["x"][0] > 4 else ["a", "b"]
            return pd.DataFrame([[2.0, 3.0]], columns=columns)

        def predict_stream(self, frame):
            yield pd.DataFrame([[2.0, 3.0]], columns=[1, "1"])

    def _load_pyfunc(path):
        return Model()
""")


@pytest.mark.parametrize(
    ("asked", "request_name"),
    [
        ({"requests": [{"inputs": {"x": [4]}}, {"inputs": {"x": [5]}}]}, "request 2"),
        ({"requests": [{"inputs": {"x": [5]}}], "given": True}, "request 1"),
        ({"requests": [], "cases": ['{"inputs": {"x": [4]}}', '{"inputs": {"x": [5]}}']}, "request 2 of the file"),
    ],
    ids=["example", "input-example", "cases"],
)
def test_a_response_with_a_name_twice_is_refused(
    mlflow: MlflowInterpreter, model: Path, asked: dict[str, object], request_name: str
) -> None:
    """
    MLflow writes the columns 1 and "1" under one name; a client takes one of the values, which is not compared.
    """
    (model / "code" / "models.py").write_text(TWINS)

    refused = mlflow.refuse("answer", model=str(model), **asked)

    assert (
        "ambiguous-response",
        f"the response to {request_name} is ambiguous: an object has the name '1' twice",
    ) == (refused["kind"], refused["message"])


def test_a_derived_request_with_such_a_response_is_left_out(mlflow: MlflowInterpreter, model: Path) -> None:
    """
    The other derived requests are answered.
    """
    (model / "code" / "models.py").write_text(TWINS)
    derived = ['{"inputs": {"x": [5]}}', '{"inputs": {"x": [4]}}']

    answered = mlflow.ask("answer", model=str(model), requests=[], derived=derived)

    left_out, other = answered["bodies"]["derived"]
    assert (None, [{"a": 2.0, "b": 3.0}]) == (left_out, other["answer"]["predictions"])


def test_a_chunk_with_a_name_twice_fails_the_stream(mlflow: MlflowInterpreter, model: Path) -> None:
    """
    The reason names the chunk.
    """
    (model / "code" / "models.py").write_text(TWINS)
    with (model / "MLmodel").open("a") as metadata:
        metadata.write("    streamable: true\n")

    answered = mlflow.ask("answer", model=str(model), requests=[], streams=['{"inputs": {"x": [4]}}'])

    (stream,) = answered["bodies"]["streams"]
    assert (500, "chunk 1: RepeatedName: an object has the name '1' twice") == (stream["status"], stream["reason"])


def test_a_clock_is_asked_again_when_it_has_moved_on(mlflow: MlflowInterpreter, model: Path) -> None:
    """
    Two answers within one second would hold the same second, and the server's would not.
    """
    (model / "code" / "models.py").write_text(
        LOADER.replace('(frame["x"] * 2).tolist()', "[int(__import__('time').time())]")
    )

    answered = mlflow.ask("answer", model=str(model), requests=[{"inputs": {"x": [1]}}], again=True)

    (first,), (second,) = (answer[0]["predictions"] for answer in (answered["answers"], answered["again"]))
    assert first < second


def test_a_question_reaches_the_model_in_the_order_of_its_keys(mlflow: MlflowInterpreter, model: Path) -> None:
    """
    A model without a signature gets columns as they come, so that nobody on the way may sort them.
    """
    (model / "code" / "models.py").write_text(LOADER.replace('(frame["x"] * 2).tolist()', "list(frame)"))
    requests = [{"inputs": {"width": [1], "age": [5]}}, {"inputs": {"age": [5], "width": [1]}}]

    answered = mlflow.ask("answer", model=str(model), requests=requests)

    assert [["width", "age"], ["age", "width"]] == [answer["predictions"] for answer in answered["answers"]]


def test_a_refusal_is_told_with_its_reason_and_without_what_was_handed(mlflow: MlflowInterpreter, model: Path) -> None:
    """
    However long the message in front of it, and whatever the variable is called.
    """
    raising = "raise ValueError('x' * 5000 + ' since there is no ' + __import__('os').environ['GREETING'])"
    (model / "code" / "models.py").write_text(LOADER.replace('return (frame["x"] * 2).tolist()', raising))
    handing = mlflow.on(GREETING="canary-of-the-model", MLFLOW_UV_HANDED="GREETING")

    refused = handing.refuse("answer", model=str(model), requests=[{"inputs": {"x": [1]}}])

    assert refused["message"].startswith("the model cannot answer request 1: ")
    assert refused["message"].endswith(" since there is no ***")
    assert (True, False) == (len(refused["message"]) <= 1006, "canary" in json.dumps(refused))
