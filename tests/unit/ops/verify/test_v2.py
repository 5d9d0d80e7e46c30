"""Tests how a server is asked in the V2 protocol, and what is reported if it does not answer."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any, cast

import pytest

from mlflow_uv.command.errors import NotServing, StepError, ToolFailed
from mlflow_uv.ops.verify.v2 import answers_by_v2
from mlflow_uv.tools.mlflow.model_requests import ModelReply, ModelRequest
from mlflow_uv.tools.system.process import TooSlow
from tests.console import KeptConsole

RECORDED = ([{"inputs": [1.5]}, {"messages": []}], [{"predictions": [3.0]}, {"choices": []}])
METADATA = {"inputs": [{"name": "x", "datatype": "FP32", "shape": [-1]}]}
PREDICTION = {"outputs": [{"name": "y", "datatype": "FP32", "shape": [1], "data": [3.0]}]}


@dataclass
class V2Server:
    """A server whose responses a test gives, None for no response; it keeps the bodies that it got."""

    ready: int = 200
    metadata: ModelReply | None = field(default_factory=lambda: reply(METADATA))
    prediction: ModelReply | None = field(default_factory=lambda: reply(PREDICTION))
    ended: int | None = None
    bodies: list[Any] = field(default_factory=list)

    def send(self, request: ModelRequest) -> ModelReply | None:
        """See ServingContainer."""
        match request.path.rpartition("/")[2]:
            case "ready":
                return ModelReply(status=self.ready, body="{}")
            case "verified":
                return self.metadata
        self.bodies.append(json.loads(request.body or b""))
        return self.prediction

    def code(self) -> int | None:
        """See ServingContainer."""
        return self.ended

    def log(self) -> str:
        """See ServingContainer."""
        return "started\nValueError: no\n\n"


def reply(content: object, status: int = 200) -> ModelReply:
    """A response with JSON."""
    return ModelReply(status=status, body=json.dumps(content))


@dataclass
class Clock:
    """A clock that passes when somebody waits."""

    seconds: float = 0.0

    def now_s(self) -> float:
        """See Clock."""
        return self.seconds

    def wait(self, seconds: float) -> None:
        """See Clock."""
        self.seconds += seconds


def answers(server: V2Server, recorded: tuple[Sequence[Any], Sequence[Any]] = RECORDED) -> Any:
    """The answers of a server within nine seconds."""
    tools = SimpleNamespace(clock=Clock(), console=KeptConsole())
    return answers_by_v2(cast("Any", server), recorded, 9.0, cast("Any", tools))


def test_requests_that_v2_can_express_are_sent_with_the_datatypes_of_the_server() -> None:
    """
    Their predictions are paired with the recorded ones; the reason names the other.
    """
    server = V2Server()

    found = answers(server)

    assert [{"inputs": [{"name": "x", "datatype": "FP32", "shape": [1], "data": [1.5]}]}] == server.bodies
    assert (({"predictions": [3.0]},), ({"predictions": [3.0]},)) == (found.answers, found.recorded)
    assert found.why.startswith("request 2 is not")


@pytest.mark.parametrize(
    ("server", "kind", "what"),
    [
        (V2Server(ready=503), TooSlow, "the server was not ready within 9 s"),
        (V2Server(ready=503, ended=3), NotServing, "the server exited with 3 before it was ready"),
        (V2Server(metadata=None), NotServing, "the description of the model got no response"),
        (V2Server(metadata=reply({"error": "no"}, 404)), ToolFailed, "the description of the model got no answer"),
        (V2Server(prediction=None), NotServing, "request 1 got no response"),
        (V2Server(prediction=reply({"error": "no"}, 500)), ToolFailed, "request 1 got no answer"),
        (
            V2Server(prediction=ModelReply(status=200, body="{")),
            ToolFailed,
            "the response to request 1 cannot be read as JSON",
        ),
        (V2Server(prediction=reply({})), ToolFailed, "the response to request 1 is not one of V2"),
    ],
    ids=["slow", "ended", "no metadata", "404", "silent", "500", "no JSON", "no outputs"],
)
def test_a_server_that_does_not_answer_is_an_error_with_its_reason(
    server: V2Server, kind: type[StepError], what: str
) -> None:
    """
    The last line of its log, or that of the response.
    """
    with pytest.raises(kind) as failed:
        answers(server)

    assert (what, True) == (failed.value.what, bool(failed.value.why))
