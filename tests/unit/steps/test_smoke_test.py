"""Who may give a model a network while it is tested."""

import pytest

from mlflow_uv.command.settings import KEYS
from mlflow_uv.command.step import Step, configured, fields_of
from mlflow_uv.steps import release, smoke_test


@pytest.mark.parametrize("step", [smoke_test.STEP, release.STEP], ids=lambda step: step.name)
def test_a_checkout_cannot_give_a_model_a_network(step: Step) -> None:
    """
    It is an input of both steps that start the server, and no setting of a pull request's own manifest.
    """
    (field,) = [field for field in fields_of(step.inputs) if field.kebab == "serve-network"]

    assert (False, False, {}) == (field.default, field.setting, configured(step.inputs, {"serve-network": True}))
    assert "serve-network" not in KEYS
