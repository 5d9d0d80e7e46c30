"""A deployment of a plugin that is asked like any other endpoint."""

from typing import Any

import pytest

from mlflow_uv.payloads.messages.platforms import PluginAction, PluginResult
from mlflow_uv.tools.cloud.plugin import PredictedEndpoint
from mlflow_uv.tools.mlflow.model_requests import ModelRequest
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
