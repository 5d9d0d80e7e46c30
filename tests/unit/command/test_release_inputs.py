"""What a release takes of steps that it runs only if it is asked to."""

from mlflow_uv.command.release_inputs import LoggedReportInputs, WayInputs, WayOutputs
from mlflow_uv.command.step import fields_of
from mlflow_uv.steps import release, report, verify


def names(record: type) -> set[str]:
    """The names of the fields of inputs or outputs."""
    return {field.name for field in fields_of(record)}


def test_a_release_takes_what_the_steps_take() -> None:
    """
    Each of these inputs is one of the step, and all of them are inputs of a release.
    """
    assert names(WayInputs) <= names(verify.Inputs) & names(release.Inputs)
    assert names(LoggedReportInputs) <= names(report.Inputs) & names(release.Inputs)


def test_a_release_reports_the_outputs_of_verify() -> None:
    """
    All of them, by the same names.
    """
    assert names(WayOutputs) == names(verify.Outputs)
    assert names(WayOutputs) <= names(release.Outputs)
