"""The times and limits of a server that a step starts."""

import pytest

from mlflow_uv.command.errors import BadInput
from mlflow_uv.command.server_inputs import AnswerTimeoutInputs, DeadlineInputs, ServeLimitInputs
from mlflow_uv.command.step import ValueLayer, settle


@pytest.mark.parametrize(
    ("inputs", "name", "value"),
    [
        (ServeLimitInputs, "serve-memory", "5"),
        (ServeLimitInputs, "serve-cpus", "0"),
        (DeadlineInputs, "deadline", "-1"),
        (AnswerTimeoutInputs, "answer-timeout", "nan"),
    ],
)
def test_a_number_that_no_server_can_have_is_refused(inputs: type, name: str, value: str) -> None:
    """
    An engine needs 6 MiB, and no time is negative.
    """
    with pytest.raises(BadInput, match=name):
        settle(inputs, (ValueLayer("`{}`", {name: value}),))
