"""Which names a registry accepts, by the URIs of the tracking server and of the registry."""

from types import SimpleNamespace
from typing import Any

import pytest

from mlflow_uv.command.errors import BadInput
from mlflow_uv.steps.preflight.registry import model_name


def context(name: str, tracking: str, variables: dict[str, str]) -> Any:
    """A release that registers a model under a name."""
    inputs = SimpleNamespace(
        register=SimpleNamespace(model_name=name), log_model=SimpleNamespace(tracking_uri=tracking)
    )
    tools = SimpleNamespace(host=SimpleNamespace(variables=variables))
    return SimpleNamespace(inputs=inputs, tools=tools, project=SimpleNamespace(name="wine"))


@pytest.mark.parametrize(
    ("name", "tracking", "variables", "why"),
    [
        ("models.wine", "databricks", {}, "three parts"),
        ("wine", "", {"MLFLOW_TRACKING_URI": "databricks://profile"}, "three parts"),
        ("main.models.Wine", "https://mlflow.test", {"MLFLOW_REGISTRY_URI": "databricks-uc"}, "lower case"),
        ("wine", "", {"MLFLOW_REGISTRY_URI": "uc:https://catalog.test"}, "three parts"),
    ],
)
def test_a_name_that_unity_catalog_does_not_keep_is_refused(
    name: str, tracking: str, variables: dict[str, str], why: str
) -> None:
    """
    A workspace registers there, unless another registry is named.
    """
    with pytest.raises(BadInput) as refused:
        model_name(context(name, tracking, variables))

    assert why in refused.value.why


@pytest.mark.parametrize(
    ("name", "tracking", "variables"),
    [
        ("main.models.wine", "databricks", {}),
        ("Wine", "databricks", {"MLFLOW_REGISTRY_URI": "databricks"}),
        ("Wine", "https://mlflow.test", {}),
        ("Wine", "", {}),
    ],
)
def test_other_names_and_registries_are_accepted(name: str, tracking: str, variables: dict[str, str]) -> None:
    """
    The older registry of a workspace, and MLflow's own, have names with capitals.
    """
    assert name == model_name(context(name, tracking, variables))
