"""What is found out about a running server that speaks the V2 protocol."""

import json
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any, cast

import pytest

from mlflow_uv.command.errors import BadInput, NotServing
from mlflow_uv.command.report import Severity
from mlflow_uv.core.model.recorded_requests import RecordedRequest, RequestOrigin, from_examples
from mlflow_uv.core.security.endpoint_address import NO_HEADERS, endpoint_address, endpoint_headers
from mlflow_uv.ops.image.serving_check import Expected, ObservedServer
from mlflow_uv.ops.verify.endpoint import ask
from mlflow_uv.tools.mlflow.endpoint import Endpoint
from mlflow_uv.tools.mlflow.model_requests import ModelReply, ModelRequest
from mlflow_uv.tools.system.web import Web
from mlflow_uv.tools.toolbox import Tools
from tests.endpoints import EndpointReply, EndpointRequest, Rule, fake_endpoint

CASE = {"dataframe_split": {"columns": ["a", "b"], "data": [[1.0, "x"], [2.0, "y"]]}}
ANSWER = {"predictions": [3.5, 4.5]}
DERIVED = RecordedRequest(name="derived: x", origin=RequestOrigin.DERIVED, body="{}", status=400, reason="no")
METADATA = {"inputs": [{"name": "a", "datatype": "FP64"}, {"name": "b", "datatype": "BYTES"}]}


def serving(*predictions: float, status: int = 200, malformed: int = 400) -> Rule:
    """A server of a model with two columns."""

    def rule(request: EndpointRequest) -> EndpointReply:
        if request.method == "GET":
            return EndpointReply(status=status, body=json.dumps(METADATA).encode())
        try:
            tensors = [tensor["name"] for tensor in json.loads(request.body)["inputs"]]
        except (ValueError, KeyError):
            return EndpointReply(status=malformed, body=b'{"error": "no"}')
        assert ["a", "b"] == tensors
        output = {"name": "output-0", "datatype": "FP64", "shape": [len(predictions)], "data": list(predictions)}
        return EndpointReply(body=json.dumps({"outputs": [output]}).encode())

    return rule


def observed(rule: Rule, case: Any = CASE, *more: RecordedRequest) -> tuple[ObservedServer, list[tuple[str, str]]]:
    """What is observed of a server, and the requests that it got."""
    with fake_endpoint(rule) as server:
        address = endpoint_address(f"{server.url}/v2/models/wine")
        headers = endpoint_headers(["X-Key=KEY"], {"KEY": "ca-na-ry-77"}, address)
        expected = Expected(
            requests=(*from_examples([case], [ANSWER]), *more),
            tolerance=1e-6,
            deadline_s=0.0,
            network=True,
            url=address.shown,
        )
        clock = SimpleNamespace(now_s=lambda: 0.0, wait=lambda _: None)
        found = ask(Endpoint(Web({}), address, headers), expected, cast("Tools", SimpleNamespace(clock=clock)))
    assert {"ca-na-ry-77"} == {request.headers["X-Key"] for request in server.requests}
    return found, [(request.method, request.path) for request in server.requests]


def test_a_model_is_described_asked_and_gets_a_malformed_request() -> None:
    """
    At the paths below its own.
    """
    found, requests = observed(serving(3.5, 4.5))

    assert ((), [ANSWER]) == (found.complaints, found.answers)
    path = "/v2/models/wine"
    # Described once to see whether it is there, and once for its datatypes.
    assert [("GET", path), ("GET", path), ("POST", f"{path}/infer"), ("POST", f"{path}/infer")] == requests


@pytest.mark.parametrize("wrong", [(3.5, 4.6), (4.5, 3.5), (3.5,)], ids=["off", "swapped", "too few"])
def test_a_plausibly_wrong_model_is_refused(wrong: tuple[float, ...]) -> None:
    """
    By the request that shows it.
    """
    (finding,) = observed(serving(*wrong))[0].complaints

    assert ("answers-differ", "the prediction for recorded request 1 is not that of training") == (
        finding.rule,
        finding.what,
    )


def test_what_v2_does_not_have_is_counted() -> None:
    """
    In a notice.
    """
    (finding,) = observed(serving(3.5, 4.5), CASE, DERIVED)[0].complaints

    assert ("requests-unsent", Severity.NOTICE) == (finding.rule, finding.severity)
    assert "1 request cannot be sent in the V2 protocol" == finding.what


def test_a_server_that_accepts_anything_is_named() -> None:
    """
    As in MLflow's protocol.
    """
    (finding,) = observed(serving(3.5, 4.5, malformed=500))[0].complaints

    assert ("malformed-accepted", "the response has status 500") == (finding.rule, finding.why)


def test_a_chat_request_cannot_be_sent() -> None:
    """
    That is an error, because nothing would be compared.
    """
    with pytest.raises(BadInput, match="no recorded request can be sent in the V2 protocol"):
        observed(serving(3.5), {"messages": []})


def test_another_model_is_an_error() -> None:
    """
    The server does not have it.
    """
    with pytest.raises(NotServing, match="is not a model server"):
        observed(serving(3.5, status=404))


class AtOnce(Endpoint):
    """A server that takes all requests at once."""

    at_once = True

    def __init__(self, answers: list[Any]) -> None:
        super().__init__(Web({}), endpoint_address("https://models.invalid"), NO_HEADERS)
        self.asked: list[list[bytes | None]] = []
        self._answers = answers

    def send_all(self, requests: Sequence[ModelRequest]) -> tuple[ModelReply | None, ...]:
        """See Endpoint."""
        self.asked.append([request.body for request in requests])
        return tuple(ModelReply(status=200, body=json.dumps(answer)) for answer in self._answers)


@pytest.mark.parametrize(
    ("answers", "rules"),
    [
        ([ANSWER, ANSWER], []),
        ([ANSWER, {"predictions": [3.5, 4.6]}], ["answers-differ"]),
        ([{"predictions": []}] * 2, ["answers-differ"] * 2),
    ],
)
def test_a_server_that_takes_all_at_once_gets_no_request_that_it_refuses(answers: list[Any], rules: list[str]) -> None:
    """
    Each answer is compared with that of its request; what is left out is counted.
    """
    endpoint = AtOnce(answers)
    requests = (*from_examples([CASE, CASE], [ANSWER, ANSWER]), DERIVED)
    expected = Expected(requests=requests, tolerance=1e-6, deadline_s=0.0, network=True, url="")
    clock = SimpleNamespace(now_s=lambda: 0.0)

    found = ask(endpoint, expected, cast("Tools", SimpleNamespace(clock=clock)))

    assert [[json.dumps(CASE).encode()] * 2] == endpoint.asked
    assert [*rules, "requests-unsent"] == [finding.rule for finding in found.complaints]
    assert answers == found.answers
