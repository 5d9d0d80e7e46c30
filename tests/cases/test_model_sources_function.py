"""A function of the project returns a model, and it is logged, proved and released as if a program had logged it."""

import json
from pathlib import Path

import pytest

from mlflow_uv.command.errors import BadInput, TrainingFailed
from mlflow_uv.command.report import Severity

from .in_process import InProcessProject
from .model_functions import add_model_functions


@pytest.fixture(scope="module", autouse=True)
def _model_functions(project: InProcessProject) -> None:
    add_model_functions(project.sample)


@pytest.mark.extended
def test_a_tree_loads_again_and_is_of_the_run_of_its_function(project: InProcessProject) -> None:
    """
    scikit-learn's trees are logged in a format that loads, with a notice, in the run with the function's numbers.
    """
    report = project.log(function="model_functions:tree")

    run = project.ask("describe-run", run_id=report.outputs.run_id)
    record = json.loads(project.sample.consumer.record.read_text())
    (finding,) = report.findings
    assert ({"depth": 2.0}, "FINISHED", "wine") == (run["metrics"], run["status"], record["model"]["name"])
    assert ("serialization-format", Severity.NOTICE) == (finding.rule, finding.severity)
    assert "sklearn.tree._tree.Tree" in finding.why


@pytest.mark.extended
def test_a_model_without_an_example_is_asked_with_a_file(project: InProcessProject) -> None:
    """
    A function that returns a model alone gives findings; with a file of rows the model is proved.
    """
    (project.folder / "rows.csv").write_text("x\n1.5\n4\n")

    without = project.log(function="model_functions:bare")
    proved = project.log(function="model_functions:bare", input_example=Path("rows.csv"))

    kept = "serialization-format"
    assert [kept, "no-input-example", "no-signature"] == [finding.rule for finding in without.findings]
    assert ([kept, "no-signature"], True) == ([finding.rule for finding in proved.findings], proved.ok)


@pytest.mark.extended
def test_a_plain_function_is_a_model(project: InProcessProject) -> None:
    """
    What the function returns may be a function itself.
    """
    report = project.log(function="model_functions:plain")

    answers = json.loads((project.sample.consumer.model / "mlflow-uv" / "answers.json").read_text())
    assert ([{"predictions": [0.5, 2.5]}], True) == (answers, report.ok)


@pytest.mark.extended
def test_what_the_function_logged_and_returned_is_the_model(project: InProcessProject) -> None:
    """
    A function may log by itself; of several models the one that it returns is released, and no other is made.
    """
    report = project.log(function="model_functions:logged")

    models = project.ask("find-models", run_id=report.outputs.run_id)["models"]
    record = json.loads(project.sample.consumer.record.read_text())
    assert (["other", "mine"], "mine") == ([model["name"] for model in models], record["model"]["name"])


@pytest.mark.parametrize(
    ("function", "told"),
    [
        ("model_functions:unknown", "`model_functions:unknown` returned a dict, which no known flavor logs"),
        ("model_functions:nothing", "`model_functions:nothing` returned a NoneType, which no known flavor logs"),
        ("model_functions:absent", "`model_functions` has no function called `absent`"),
        ("model_functions:X", "`model_functions` has no function called `X`"),
        ("orchard.trees:double", "there is no module called `orchard`"),
        ("model_functions", "`model_functions` is not of the form package.module:function"),
    ],
)
def test_what_makes_no_model_is_invalid(project: InProcessProject, function: str, told: str) -> None:
    """
    A function that is not there, or returns what no flavor logs, is told by name.
    """
    with pytest.raises(BadInput) as caught:
        project.ask("call-function", function=function, folder=str(project.folder), name="wine")

    assert told == caught.value.why


def test_a_class_that_no_flavor_logs_is_wrong_input_with_the_way_out(project: InProcessProject) -> None:
    """
    The step names the function, what it returned, and the way that takes any model; no run stays open.
    """
    with pytest.raises(BadInput) as caught:
        project.log(function="model_functions:unknown")

    assert "`model_functions:unknown` returns no model that MLflow can log" == caught.value.what
    assert "`train` with a program that calls log_model" in caught.value.fix
    assert "RUNNING" not in project.sample.store.runs


@pytest.mark.parametrize(
    ("function", "told"),
    [("model_functions:fails", "ValueError: there is no wine today"), ("model_functions:leaves", "SystemExit: 0")],
)
@pytest.mark.extended
def test_a_function_that_fails_is_a_failed_training(project: InProcessProject, function: str, told: str) -> None:
    """
    Its own traceback is shown, its last line is the reason, and its run has failed.
    """
    with pytest.raises(TrainingFailed) as caught:
        project.log(function=function)

    assert told == caught.value.why
    assert any('model_functions.py", line ' in line for line in project.console.lines)
    assert "RUNNING" not in project.sample.store.runs
