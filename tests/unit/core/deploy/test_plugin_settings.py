"""Settings of a plugin: what a checkout may say of it."""

import pytest

from mlflow_uv.command.errors import BadInput
from mlflow_uv.command.step import ValueLayer, settle
from mlflow_uv.core.deploy.plugin_settings import PluginSettings


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("plugin", "https://user:password@example.com"),
        ("plugin", "-x"),
        ("plugin", "a b"),
        ("plugin", "redisai:/x?token=y"),
        ("group", "../x"),
        ("config", 3),
    ],
)
def test_a_plugin_has_a_name_and_no_login(name: str, value: object) -> None:
    """
    Its login comes from variables.
    """
    with pytest.raises(BadInput):
        settle(PluginSettings, (ValueLayer("`{}`", {"target": "mlflow", name: value}),))


def test_lists_are_lists() -> None:
    """
    A configuration may have spaces and commas.
    """
    values = {"target": "mlflow", "plugin": "redisai:/prod", "config": ["a=b, c"], "variables": ["LOGIN"]}

    found = settle(PluginSettings, (ValueLayer("`{}`", values),))

    assert (("a=b, c",), ("LOGIN",)) == (found.config, found.variables)
