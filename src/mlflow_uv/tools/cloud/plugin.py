"""Calls a plugin of `mlflow.deployments` in an interpreter that has it."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

from ...command.errors import NotServing
from ...command.wording import Wording, option
from ...core.security.documents import parse_json
from ...core.security.endpoint_address import NO_HEADERS, endpoint_address
from ...core.security.toml_documents import Unparsable
from ...payloads.messages.lazy_dataclass import lazy_dataclass
from ...payloads.messages.platforms import CallPlugin, PluginAction, PluginResult
from ..mlflow.endpoint import Endpoint
from ..mlflow.mlflow import Mlflow
from ..mlflow.model_requests import ModelReply, ModelRequest
from ..mlflow.store import Store
from ..system.commands import TooSlow
from ..system.web import Web, WebUnreachable


class Plugin(Protocol):
    """A plugin, and one deployment of it."""

    def do(self, action: PluginAction, **more: Any) -> PluginResult:
        """
        What the plugin answers; `more` are parts of CallPlugin.

        Raises ToolFailed, ToolMissing and BadInput, and NotServing for a call that takes too long.
        """


@lazy_dataclass
class MlflowPlugin:
    """
    See Plugin; `target` is that of `mlflow deployments`, `store.handed` are variables for the plugin.

    A call that takes longer than `deadline_s` is ended with the process of the plugin.
    """

    mlflow: Mlflow
    python: Path
    store: Store
    target: str
    name: str
    deadline_s: float

    def do(self, action: PluginAction, **more: Any) -> PluginResult:
        """See Plugin."""
        request = CallPlugin(target=self.target, action=action, name=self.name, **more)
        try:
            result = self.mlflow.ask(self.python, self.store, request, PluginResult, timeout_s=self.deadline_s)
        except TooSlow as error:
            raise NotServing(
                what=f"the plugin `{self.target}` does not {action.value} `{self.name}` within {self.deadline_s:.0f} s",
                why="its process is stopped, whatever it had begun",
                fix=Wording(option("deadline", "SECONDS"), " if it only needs longer"),
            ) from error
        return replace(result, reason=self.store.handed.masked(result.reason))


class PredictedEndpoint(Endpoint):
    """A deployment of a plugin, asked by its `predict`; see mlflow.endpoint.Endpoint."""

    def __init__(self, web: Web, plugin: Plugin, name: str) -> None:
        # It is only shown: the plugin knows where the deployment is.
        super().__init__(web, endpoint_address(f"https://plugin.invalid/{name}"), NO_HEADERS, examples_only=True)
        self._plugin = plugin

    def send(self, request: ModelRequest) -> ModelReply | None:
        """See Endpoint; what is no JSON object cannot be passed to a plugin, and is refused here."""
        self.unreachable = None
        text = (request.body or b"").decode(errors="replace")
        if not _is_object(text):
            return ModelReply(status=400, body="the body is not a JSON object")
        result = self._plugin.do(PluginAction.PREDICT, inputs=text)
        if result.prediction is not None:
            return ModelReply(status=200, body=result.prediction)
        self.unreachable = WebUnreachable(result.reason)
        return None


def _is_object(text: str) -> bool:
    try:
        return isinstance(parse_json(text), Mapping)
    except Unparsable:
        return False
