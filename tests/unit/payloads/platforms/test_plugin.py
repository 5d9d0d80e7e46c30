"""Calls of a plugin: rows as it takes them, answers as MLflow's server writes them, errors as reasons."""

import importlib
import sys
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import pytest

from mlflow_uv.payloads.messages.platforms import CallPlugin, PluginAction
from mlflow_uv.payloads.problems import Problem, ProblemKind

MODULE = "mlflow_uv.payloads.platforms.plugin"


class Client:
    """A client whose `predict` has a given answer; it keeps what it was called with."""

    def __init__(self) -> None:
        self.answer: Any = None
        self.calls: list[tuple[str, dict[str, Any]]] = []
        self.names = ["prod"]

    def __getattr__(self, name: str) -> Any:
        def called(**parts: Any) -> Any:
            self.calls.append((name, parts))
            if isinstance(self.answer, Exception):
                raise self.answer
            return self.answer

        return called

    def list_deployments(self) -> list[dict[str, str]]:
        """See BaseDeploymentClient."""
        return [{"name": name} for name in self.names]

    def get_deployment(self, name: str) -> dict[str, Any]:
        """See BaseDeploymentClient."""
        return {"name": name, "made": object}


@pytest.fixture
def client(monkeypatch: pytest.MonkeyPatch) -> Iterator[Client]:
    """The client of a plugin, behind a module of the name of MLflow's; a target without a plugin has none."""
    found, module = Client(), ModuleType("mlflow.deployments")
    vars(module)["get_deploy_client"] = lambda target: None if target == "nobody" else found
    monkeypatch.setitem(sys.modules, "mlflow", ModuleType("mlflow"))
    monkeypatch.setitem(sys.modules, "mlflow.deployments", module)
    monkeypatch.delitem(sys.modules, MODULE, raising=False)
    yield found
    sys.modules.pop(MODULE, None)


def call(action: PluginAction, *, target: str = "cellar", **parts: Any) -> Any:
    """The result of a call."""
    module = importlib.import_module(MODULE)
    return module.call(CallPlugin(target=target, action=action, name="prod", **parts))


def test_a_deployment_is_one_that_is_listed(client: Client) -> None:
    """
    What a plugin says of it is made JSON; one that is not listed is none.
    """
    found = call(PluginAction.UPDATE, model_uri="models:/wine/1", config={"a": "b"})
    client.names = ["another"]

    assert {"name": "prod", "made": "<class 'object'>"} == found.deployment
    assert call(PluginAction.FIND).deployment is None
    expected = {"name": "prod", "model_uri": "models:/wine/1", "config": {"a": "b"}}
    assert [("update_deployment", expected)] == client.calls


@pytest.mark.parametrize(
    ("answer", "prediction"),
    [
        ('{"predictions": [1]}', '{"predictions": [1]}'),
        ({"predictions": [1], "more": None}, '{"predictions": [1], "more": null}'),
        ([1, 2.5, "a", True, None], '{"predictions": [1, 2.5, "a", true, null]}'),
        (b"[1]", '{"predictions": [1]}'),
    ],
)
def test_an_answer_is_written_as_the_server_of_mlflow_does(client: Client, answer: Any, prediction: str) -> None:
    """
    Plugins return text, objects and lists.
    """
    client.answer = answer

    assert prediction == call(PluginAction.PREDICT, inputs='{"other": 1}').prediction


def test_what_a_plugin_raises_is_no_error_of_the_tracking_server(client: Client) -> None:
    """
    Plugins raise MLflow's own errors, such as one for a deployment that does not exist.
    """

    class Absent(Exception):
        error_code = "RESOURCE_DOES_NOT_EXIST"

    client.answer = Absent("no such machine")

    with pytest.raises(Problem, match="the plugin fails: no such machine") as caught:
        call(PluginAction.CREATE, model_uri="models:/wine/1")

    assert ProblemKind.UNEXPECTED is caught.value.kind


def test_an_error_is_the_reason_without_a_secret(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    Whatever is raised; a target without a plugin is no reason but a mistake in the settings.
    """
    monkeypatch.setenv("CELLAR_TOKEN", "hush-hush-hush")
    client.answer = ValueError("hush-hush-hush is wrong")

    assert "*** is wrong" == call(PluginAction.PREDICT, inputs='{"other": 1}').reason
    with pytest.raises(Problem, match="nobody"):
        call(PluginAction.FIND, target="nobody")
