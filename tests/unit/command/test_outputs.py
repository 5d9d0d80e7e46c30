"""Reading the outputs of a report, with those of the steps of a release."""

from dataclasses import dataclass
from typing import Annotated

import pytest

from mlflow_uv.command.outputs import empty_value, output_values
from mlflow_uv.command.step import Doc, StepOutputs, fields_of


@dataclass(frozen=True, kw_only=True, slots=True)
class Table:
    """A record with a default."""

    rows: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class First:
    """Outputs of a step."""

    record: Annotated[str, Doc("A record.")]
    table: Annotated[Table | None, Doc("A table.")]


@dataclass(frozen=True, kw_only=True, slots=True)
class Second:
    """Outputs of a later step."""

    record: Annotated[str, Doc("A record.")]
    names: Annotated[tuple[str, ...], Doc("Names.")]


@dataclass(frozen=True, kw_only=True, slots=True)
class Whole:
    """Outputs of both steps."""

    first: Annotated[First | None, StepOutputs()] = None
    second: Annotated[Second | None, StepOutputs()] = None


@pytest.mark.parametrize(
    ("outputs", "values"),
    [
        (Whole(), {"record": None, "table": None, "names": None}),
        (Whole(first=First(record="a", table=None)), {"record": "a", "table": None, "names": None}),
        (
            Whole(first=First(record="a", table=Table()), second=Second(record="b", names=("n",))),
            {"record": "b", "table": Table(), "names": ("n",)},
        ),
        (Second(record="b", names=()), {"record": "b", "names": ()}),
    ],
)
def test_the_outputs_of_steps_are_outputs_of_the_whole(outputs: object, values: dict[str, object]) -> None:
    """
    In the order of the steps, each name once; the last step that ran has the value.
    """
    assert values == output_values(outputs)


def test_an_output_of_a_step_that_may_not_run_is_not_required() -> None:
    """
    It keeps its name, type and sentence.
    """
    assert [("record", "A record.", False), ("table", "A table.", False), ("names", "Names.", False)] == [
        (field.name, field.doc, field.required) for field in fields_of(Whole)
    ]


def test_an_output_without_a_value_has_the_empty_value_of_its_type() -> None:
    """
    So that JSON of it can be read without a condition.
    """
    assert [None, Table(), ()] == [empty_value(field) for field in fields_of(Whole)]
