"""The line of a job summary that repeats a step on another machine."""

import shlex
from pathlib import Path
from typing import Any

import pytest

from mlflow_uv.command.step import Step, ValueLayer, fields_of, settle
from mlflow_uv.steps.release import ALL
from mlflow_uv.surfaces.cli import _parser, given_in
from mlflow_uv.surfaces.jobsummary import command_line
from mlflow_uv.surfaces.phrasing import ActionPhrasing, ActionSource
from tests.inputs import inputs_of, texts_of


def parsed(arguments: list[str]) -> Any:
    """The inputs that the command line makes of its arguments, before the project is looked at."""
    namespace = _parser(arguments).parse_args(arguments)
    return settle(namespace.step.inputs, (ValueLayer("--{}", given_in(namespace)),))


@pytest.mark.parametrize("switch", ["true", "false"])
@pytest.mark.parametrize("step", ALL, ids=lambda step: step.name)
def test_the_line_of_a_summary_gives_the_same_inputs(step: Step[Any, Any, Any], switch: str) -> None:
    """
    With every input set, the command line parses the line into the inputs that the action had.
    """
    phrasing = ActionPhrasing(step=step.name, source=ActionSource(), root=Path("/w"))

    line = command_line(step, texts_of(step, switch=switch), phrasing)

    assert inputs_of(step, switch=switch) == parsed(shlex.split(line.removeprefix(ActionSource().program)))


@pytest.mark.parametrize("switch", ["true", "false"])
@pytest.mark.parametrize("step", ALL, ids=lambda step: step.name)
def test_values_become_arguments_that_give_the_same_values(step: Step[Any, Any, Any], switch: str) -> None:
    """
    What `Field.argv` writes of a parsed value is parsed into that value again.
    """
    inputs = inputs_of(step, switch=switch)

    words = [word for field in fields_of(step.inputs) for word in field.argv(getattr(inputs, field.name))]

    assert inputs == parsed([step.name, *words])
