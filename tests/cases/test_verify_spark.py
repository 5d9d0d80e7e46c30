"""A model that Spark serves otherwise than training is found out, in a batch and in a stream."""

import pytest

from .sample_project import SampleProject, training

pytestmark = [
    pytest.mark.extended,
    pytest.mark.usefixtures("java_program"),
]
ON_SPARK = '"pyspark" in __import__("sys").modules'
WAYS = ["spark-batch", "spark-stream"]


def release(sample: SampleProject, predict: str) -> None:
    """Register a version of a model that predicts so."""
    sample.train_with(training(predict=predict))
    result = sample.run("release", "--steps", "log-model register")
    assert result.code == 0, result.stderr


def test_spark_answers_as_training_did(sample: SampleProject) -> None:
    """
    In a batch and in a stream that was restarted in the middle; Spark is installed once.
    """
    result = sample.run("verify", "models:/wine@candidate", "--ways", "spark")

    assert (0, WAYS, []) == (result.code, result.outputs["equal"], result.outputs["unequal"]), result.stderr


def test_other_predictions_and_errors_on_spark_are_named(sample: SampleProject) -> None:
    """
    The value that differs, and the error of the worker, are in the report.
    """
    release(sample, f'return [(3.0 if {ON_SPARK} else 2.0) * x for x in model_input["x"]]')
    differs = sample.run("verify", "models:/wine/2", "--ways", "spark")
    release(sample, f'return [2.0 * x for x in model_input["x"]][: len({ON_SPARK} or [1]) * 9]')
    fails = sample.run("verify", "models:/wine/3", "--ways", "spark-batch")

    assert (1, WAYS, [*["way-different"] * 2, "not-isolated"]) == (
        differs.code,
        differs.outputs["unequal"],
        differs.rules,
    ), differs.stderr
    assert "$.predictions[0] is 3.0, expected is 2.0" in differs.stderr
    assert (1, ["spark-batch"], ["way-failed", "not-isolated"]) == (
        fails.code,
        fails.outputs["unequal"],
        fails.rules,
    ), fails.stderr
    assert "TypeError: object of type 'bool' has no len()" in fails.stderr


def test_a_query_that_takes_too_long_is_ended(sample: SampleProject) -> None:
    """
    With Java and the workers of Python.
    """
    release(sample, f'time.sleep(900 if {ON_SPARK} else 0)\n        return [2.0 * x for x in model_input["x"]]')

    result = sample.run("verify", "models:/wine/2", "--ways", "spark-batch", "--time-limit", "60")

    assert (1, ["spark-batch"], "way-failed") == (result.code, result.outputs["unequal"], result.rules[0])
    assert "did not respond within 60 s: it was stopped" in result.answer["findings"][0]["why"]
