"""A deployment of a plugin that is asked like any other endpoint."""

import shlex
from pathlib import Path
from typing import Any, cast

import pytest

from mlflow_uv.command.errors import NotServing
from mlflow_uv.core.deploy.plugin_settings import PluginSettings
from mlflow_uv.payloads.messages.platforms import PluginAction, PluginResult
from mlflow_uv.surfaces.cli import _parsed, given_in
from mlflow_uv.tools.cloud.plugin import MlflowPlugin, PredictedEndpoint
from mlflow_uv.tools.mlflow.mlflow import Mlflow
from mlflow_uv.tools.mlflow.model_requests import ModelRequest
from mlflow_uv.tools.mlflow.store import Store, StoreKind
from mlflow_uv.tools.system.commands import TooSlow
from mlflow_uv.tools.system.web import Web


class OneAnswer:
    """See Plugin."""

    def __init__(self, result: PluginResult) -> None:
        self._result = result
        self.asked: list[tuple[PluginAction, dict[str, Any]]] = []

    def do(self, action: PluginAction, **more: Any) -> PluginResult:
        """See Plugin."""
        self.asked.append((action, more))
        return self._result


def request(body: bytes) -> ModelRequest:
    """A request with a body."""
    return ModelRequest(method="POST", path="/invocations", body=body, timeout_s=1)


def test_a_prediction_is_an_answer_and_an_error_is_none() -> None:
    """
    Its reason is kept for the message.
    """
    right = OneAnswer(PluginResult(prediction='{"predictions": [2]}'))
    failing = PredictedEndpoint(Web({}), OneAnswer(PluginResult(reason="no machine")), "prod")

    reply = PredictedEndpoint(Web({}), right, "prod").send(request(b'{"inputs": [1]}'))

    assert reply is not None
    assert (200, '{"predictions": [2]}') == (reply.status, reply.body)
    assert [(PluginAction.PREDICT, {"inputs": '{"inputs": [1]}'})] == right.asked
    assert (None, "no machine") == (failing.send(request(b"{}")), failing.log())


@pytest.mark.parametrize("body", [b'{"this is": "not', b"[1]", b"\xff", b""])
def test_what_is_no_object_is_refused_without_the_plugin(body: bytes) -> None:
    """
    Its interface takes data frames, arrays and objects.
    """
    plugin = OneAnswer(PluginResult(prediction="{}"))

    reply = PredictedEndpoint(Web({}), plugin, "prod").send(request(body))

    assert reply is not None
    assert (400, []) == (reply.status, plugin.asked)


class Slow:
    """See Mlflow: each call takes forty minutes."""

    def ask(self, *_: object, timeout_s: float) -> PluginResult:
        """See Mlflow."""
        if timeout_s < 2400:
            raise TooSlow(what="it did not respond", why="it was stopped")
        return PluginResult()


def test_a_plugin_that_needs_longer_has_the_time_that_the_message_names() -> None:
    """
    The printed flag is one of `deploy`, and lets the same call end; without it half an hour is the limit.
    """

    def plugin(*flags: str) -> MlflowPlugin:
        given = given_in(_parsed(["deploy", "models:/wine@champion", "--target", "prod", *flags]))
        least_s = PluginSettings(target="mlflow", plugin="cellar").least_deadline_s
        return MlflowPlugin(
            mlflow=cast("Mlflow", Slow()), python=Path("python"), target="cellar", name="prod",
            store=Store(uri="x", kind=StoreKind.SERVER, variables={}),
            deadline_s=max(float(str(given.get("deadline", 0))), least_s),
        )  # fmt: skip

    with pytest.raises(NotServing, match="does not create `prod` within 1800 s") as late:
        plugin().do(PluginAction.CREATE)
    flag, value, *condition = shlex.split(str(late.value.fix))

    assert (["if", "it", "only", "needs", "longer"], "SECONDS") == (condition, value)
    assert PluginResult() == plugin(flag, "2400").do(PluginAction.CREATE)
