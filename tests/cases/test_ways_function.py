"""A function of the project returns a model, and it is logged, proved and released as if a program had logged it."""

import json
from pathlib import Path

import pytest

from mlflow_uv.command.errors import BadInput, TrainingFailed

from .vineyard import with_module
from .workbench import Workbench


@pytest.fixture(scope="module", autouse=True)
def _vineyard(bench: Workbench) -> None:
    with_module(bench.lab)


def test_a_tree_loads_again_and_is_of_the_run_of_its_function(bench: Workbench) -> None:
    """
    scikit-learn's trees are logged in a format that loads, in the run that holds the function's numbers.
    """
    report = bench.log(function="vineyard:tree")

    run = bench.ask("describe-run", run_id=report.outputs.run_id)
    record = json.loads(bench.lab.consumer.record.read_text())
    assert ((), {"depth": 2.0}, "FINISHED") == (report.findings, run["metrics"], run["status"])
    assert "wine" == record["model"]["name"]


def test_a_model_without_an_example_is_asked_with_a_file(bench: Workbench) -> None:
    """
    A function that returns a model alone gives findings; with a file of rows the model is proved.
    """
    (bench.folder / "rows.csv").write_text("x\n1.5\n4\n")

    without = bench.log(function="vineyard:bare")
    proved = bench.log(function="vineyard:bare", input_example=Path("rows.csv"))

    assert ["no-input-example", "no-signature"] == [finding.rule for finding in without.findings]
    assert (["no-signature"], True) == ([finding.rule for finding in proved.findings], proved.ok)


@pytest.mark.extended
def test_a_plain_function_is_a_model(bench: Workbench) -> None:
    """
    What the function returns may be a function itself.
    """
    report = bench.log(function="vineyard:plain")

    answers = json.loads((bench.lab.consumer.model / "mlflow-uv" / "answers.json").read_text())
    assert ([{"predictions": [0.5, 2.5]}], True) == (answers, report.ok)


@pytest.mark.extended
def test_what_the_function_logged_and_returned_is_the_model(bench: Workbench) -> None:
    """
    A function may log by itself; of several models the one that it returns is released, and no other is made.
    """
    report = bench.log(function="vineyard:logged")

    models = bench.ask("find-models", run_id=report.outputs.run_id)["models"]
    record = json.loads(bench.lab.consumer.record.read_text())
    assert (["other", "mine"], "mine") == ([model["name"] for model in models], record["model"]["name"])


@pytest.mark.parametrize(
    ("function", "told"),
    [
        ("vineyard:unknown", "`vineyard:unknown` returned a dict, which no known flavor logs"),
        ("vineyard:nothing", "`vineyard:nothing` returned a NoneType, which no known flavor logs"),
        ("vineyard:absent", "`vineyard` has no function called `absent`"),
        ("vineyard:X", "`vineyard` has no function called `X`"),
        ("orchard.trees:double", "there is no module called `orchard`"),
        ("vineyard", "`vineyard` is not of the form package.module:function"),
    ],
)
def test_what_makes_no_model_is_invalid(bench: Workbench, function: str, told: str) -> None:
    """
    A function that is not there, or returns what no flavor logs, is told by name.
    """
    with pytest.raises(BadInput) as caught:
        bench.ask("call-function", function=function, folder=str(bench.folder), name="wine")

    assert told == caught.value.why


def test_a_class_that_no_flavor_logs_is_wrong_input_with_the_way_out(bench: Workbench) -> None:
    """
    The step names the function, what it returned, and the way that takes any model; no run stays open.
    """
    with pytest.raises(BadInput) as caught:
        bench.log(function="vineyard:unknown")

    assert "`vineyard:unknown` returns no model that MLflow can log" == caught.value.what
    assert "`train` with a program that calls log_model" in caught.value.fix
    assert "RUNNING" not in bench.lab.store.runs


@pytest.mark.parametrize(
    ("function", "told"),
    [("vineyard:fails", "ValueError: there is no wine today"), ("vineyard:leaves", "SystemExit: 0")],
)
@pytest.mark.extended
def test_a_function_that_fails_is_a_failed_training(bench: Workbench, function: str, told: str) -> None:
    """
    Its own traceback is shown, its last line is the reason, and its run has failed.
    """
    with pytest.raises(TrainingFailed) as caught:
        bench.log(function=function)

    assert told == caught.value.why
    assert any('vineyard.py", line ' in line for line in bench.console.said)
    assert "RUNNING" not in bench.lab.store.runs
