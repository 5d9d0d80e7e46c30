"""What memory and log of a tested server say: a killed process is named, an exception among right answers too."""

from collections.abc import Sequence
from dataclasses import dataclass
from types import SimpleNamespace
from typing import cast

import pytest

from mlflow_uv.command.errors import NotServing
from mlflow_uv.command.server_inputs import ServeLimitInputs
from mlflow_uv.core.model.recorded_requests import RecordedRequest, RequestOrigin, from_examples
from mlflow_uv.core.security.serve_env import NO_VARIABLES, ServeVariables
from mlflow_uv.ops.image.serving_check import Expected
from mlflow_uv.ops.image.started_check import limits_in_words, log_findings, observe_started, server_settings
from mlflow_uv.tools.engines.engine import ServerSettings
from mlflow_uv.tools.mlflow.model_requests import LoadPlan, ModelReply, ModelRequest
from mlflow_uv.tools.toolbox import Tools
from tests.console import KeptConsole

TRACEBACK = """started
Traceback (most recent call last):
  File "/opt/model/code/x.py", line 3, in predict
    raise ValueError("canary-of-the-model")
ValueError: canary-of-the-model
"""


@dataclass
class FakeServer:
    """A server that answers, or whose process was killed at its first request or before."""

    out_of_memory: bool = False
    starts: bool = True
    text: str = ""
    seconds: float = 0.0

    def send(self, request: ModelRequest) -> ModelReply | None:
        """See ServingContainer."""
        if request.path == "/ping":
            return ModelReply(status=200, body="") if self.starts else None
        if self.out_of_memory:
            return None
        malformed = request.body is not None and request.body.startswith(b'{"this is"')
        return ModelReply(status=400, body="{}") if malformed else ModelReply(status=200, body="[1]")

    def send_all(self, requests: Sequence[ModelRequest]) -> tuple[ModelReply | None, ...]:
        """See ServingContainer."""
        return tuple(map(self.send, requests))

    def code(self) -> int | None:
        """See ServingContainer."""
        return 137 if self.out_of_memory else None

    def log(self) -> str:
        """See ServingContainer."""
        return self.text

    def stop(self) -> None:
        """See ServingContainer."""

    def measure(self, _plan: LoadPlan) -> str:
        """See StartedServer."""
        return ""

    def exceeded_memory(self) -> bool:
        """See StartedServer."""
        return self.out_of_memory

    def now_s(self) -> float:
        """See Clock."""
        return self.seconds

    def wait(self, seconds: float) -> None:
        """See Clock."""
        self.seconds += seconds


def tools_of(server: FakeServer) -> Tools:
    """Tools with its clock."""
    return cast("Tools", SimpleNamespace(clock=server, console=KeptConsole()))


def expecting(*more: RecordedRequest) -> Expected:
    """An example, and other requests."""
    variables = ServeVariables({"MODEL_KEY": "canary-of-the-model"})
    requests = (*from_examples([1], [[1]]), *more)
    return Expected(requests=requests, tolerance=0, deadline_s=3, network=True, serve_env=variables)


def test_a_killed_model_is_named_before_what_followed() -> None:
    """
    The fix is a higher limit.
    """
    server = FakeServer(out_of_memory=True)

    observed = observe_started(server, expecting(), ServerSettings(memory_mib=300), tools_of(server))

    first = observed.complaints[0]
    assert ("memory-limit", "`serve-memory` is 300 MiB") == (first.rule, first.why)
    assert first.fix.startswith("--serve-memory 600")


def test_a_model_that_is_killed_when_it_loads_is_named_too() -> None:
    """
    Not as a server that ended for some reason.
    """
    server = FakeServer(out_of_memory=True, starts=False)

    with pytest.raises(NotServing, match="needs more memory than the tested container may use"):
        observe_started(server, expecting(), ServerSettings(memory_mib=300), tools_of(server))


def test_a_server_within_its_limits_is_as_observed() -> None:
    """
    It has no finding.
    """
    server = FakeServer()

    observed = observe_started(server, expecting(), ServerSettings(memory_mib=300), tools_of(server))

    assert () == observed.complaints


def test_an_exception_in_the_log_is_a_warning_without_values() -> None:
    """
    Unless training failed for a request as well.
    """
    failing = RecordedRequest(name="derived: x", origin=RequestOrigin.DERIVED, body="{}", status=500)

    found = [list(log_findings(FakeServer(text=TRACEBACK), expected)) for expected in (expecting(), expecting(failing))]

    assert [["ValueError: ***"], []] == [[finding.why for finding in each] for each in found]
    assert [] == list(log_findings(FakeServer(text="started\n"), expecting()))


def test_limits_of_the_inputs_are_settings_and_words() -> None:
    """
    The time limit of responses is one of the server's own variables.
    """
    inputs = ServeLimitInputs(serve_memory=300, serve_cpus=0.5)

    settings = server_settings(inputs, NO_VARIABLES, answer_s=2.5)

    assert ({"REQUEST_TIMEOUT": "2.500"}, ["memory 300 MiB", "cpus 0.5"]) == (
        settings.settings,
        list(limits_in_words(settings)),
    )
