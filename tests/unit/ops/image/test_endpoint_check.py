"""What is found out about a running server: it answers, answers otherwise, redirects, hangs, denies or starts."""

import json
import time
from collections.abc import Iterator, Sequence
from types import SimpleNamespace
from typing import Any, cast

import pytest

from mlflow_uv.command.errors import NotServing
from mlflow_uv.command.report import Severity
from mlflow_uv.core.model.recorded_requests import RecordedRequest, RequestOrigin, from_examples
from mlflow_uv.core.security.endpoint_address import endpoint_address, endpoint_headers
from mlflow_uv.core.security.serve_env import ServeVariables
from mlflow_uv.ops.image.endpoint_check import ask_endpoint
from mlflow_uv.ops.image.serving_check import Expected, ObservedServer
from mlflow_uv.tools.mlflow.endpoint import Endpoint
from mlflow_uv.tools.system.web import Web
from mlflow_uv.tools.toolbox import Tools
from tests.endpoints import EndpointReply, EndpointRequest, Rule, fake_endpoint

CANARY = "ca-na-ry-77"
CASE = {"inputs": [[1, 2]]}
ANSWER = {"predictions": [3]}
MALFORMED = EndpointReply(status=400, body=b'{"message": "no"}')
REFUSED = RecordedRequest(
    name="derived: x", origin=RequestOrigin.DERIVED, body='{"inputs": "x"}', status=400, reason="no"
)


class FakeClock:
    """A clock that only passes when somebody waits."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def now_s(self) -> float:
        """See Clock."""
        return self.seconds

    def wait(self, seconds: float) -> None:
        """See Clock."""
        self.seconds += seconds


def model(request: EndpointRequest) -> EndpointReply:
    """A server as training's environment."""
    return EndpointReply(body=json.dumps(ANSWER).encode()) if json_of(request) == CASE else MALFORMED


def json_of(request: EndpointRequest) -> Any:
    """The JSON of a request, None if it is none."""
    try:
        return json.loads(request.body)
    except ValueError:
        return None


def observed(rule: Rule, **words: Any) -> ObservedServer:
    """What is observed of a server that has an example and a request that it must refuse."""
    with fake_endpoint(rule) as server:
        return asked(server.url, **words)


def asked(
    url: str,
    pairs: Sequence[str] = ("Authorization=AUTH",),
    more: tuple[RecordedRequest, ...] = (),
    **words: Any,
) -> ObservedServer:
    """The same of a URL."""
    address = endpoint_address(url)
    headers = endpoint_headers(pairs, {"AUTH": f"Bearer {CANARY}"}, address)
    expected = Expected(
        requests=(*from_examples([CASE], [ANSWER]), *more, REFUSED),
        headers=headers.variables,
        tolerance=1e-6,
        network=True,
        serve_env=ServeVariables(dict(headers.values)),
        url=address.shown,
        **{"deadline_s": 0.0, "answer_s": 60.0, **words},
    )
    endpoint = Endpoint(Web({}), address, headers)
    return ask_endpoint(endpoint, expected, cast("Tools", SimpleNamespace(clock=FakeClock())))


def test_a_server_that_answers_as_training_has_no_finding() -> None:
    """
    The example, the derived request, and a malformed one that it refuses.
    """
    result = observed(model)

    assert ((), [ANSWER, {"status": 400}]) == (result.complaints, result.answers)


def test_a_server_that_is_plausibly_wrong_is_named() -> None:
    """
    The finding has the difference and a command that repeats the request there.
    """
    result = observed(
        lambda request: EndpointReply(body=b'{"predictions": [4]}') if json_of(request) == CASE else MALFORMED
    )

    (finding,) = result.complaints
    assert ("answers-differ", "$.predictions[0] is 4, expected is 3") == (finding.rule, finding.why)
    assert ("curl" in finding.fix, "/invocations" in finding.fix, "8080" in finding.fix) == (True, True, False)
    assert ('--header "Authorization: $AUTH"' in finding.fix, CANARY in finding.fix) == (True, False)


def test_a_server_that_accepts_everything_is_named() -> None:
    """
    Both the request that training refuses and the malformed one.
    """
    result = observed(lambda _: EndpointReply(body=json.dumps(ANSWER).encode()))

    assert ["malformed-accepted", "malformed-accepted"] == [finding.rule for finding in result.complaints]


def hangs(_request: EndpointRequest) -> EndpointReply:
    """A server that never responds completely."""
    return EndpointReply(stream=slowly())


def slowly() -> Iterator[bytes]:
    """A body without an end, byte by byte."""
    while True:
        time.sleep(0.02)
        yield b" "


def denying(status: int) -> Rule:
    """A server that repeats a secret when it refuses."""
    return lambda _: EndpointReply(status=status, body=CANARY.encode())


def redirecting(status: int, target: str) -> Rule:
    """A server that redirects."""
    return lambda _: EndpointReply(status=status, headers={"Location": target})


NO_RESPONSE = "does not respond to a recorded request"
MOVED = "https://127.0.0.1/new/invocations"


@pytest.mark.parametrize(
    ("rule", "what", "fix"),
    [
        (denying(401), "denies access", "--url-headers Authorization=VARIABLE"),
        (denying(404), "is not a model server", "--url URL"),
        (redirecting(302, f"https://b.example/?k={CANARY}"), "redirects", "--url URL"),
        (redirecting(308, MOVED), "redirects", f"--url {MOVED}"),
        (redirecting(308, f"https://127.0.0.1/{CANARY}"), "redirects", "--url URL"),
        (denying(503), NO_RESPONSE, "--deadline SECONDS if the server"),
        (hangs, NO_RESPONSE, "--answer-timeout SECONDS if it only"),
    ],
    ids=["401", "404", "redirect", "redirect on the host", "redirect with a header", "503", "hangs"],
)  # fmt: skip
def test_a_server_that_cannot_be_asked_is_an_error_without_a_secret(rule: Rule, what: str, fix: str) -> None:
    """
    Also where the server's text repeats a header.
    """
    with pytest.raises(NotServing) as raised:
        observed(rule, answer_s=0.3 if rule is hangs else 60.0)

    assert (True, True) == (what in raised.value.what, raised.value.fix.startswith(fix)), raised.value.text
    assert CANARY not in raised.value.text


def test_a_finding_does_not_repeat_the_part_of_a_header_after_its_scheme() -> None:
    """
    A server may put the token alone into its message.
    """
    reply = EndpointReply(status=400, body=json.dumps({"message": f"who is {CANARY}?"}).encode())

    result = observed(lambda _: reply)

    assert "status 400: who is ***?" == result.complaints[0].why


def test_a_redirect_is_the_fix_if_no_header_is_sent() -> None:
    """
    Nothing secret would go to another host.
    """
    with pytest.raises(NotServing) as raised:
        observed(redirecting(302, "https://b.example/new"), pairs=())

    assert "--url https://b.example/new" == raised.value.fix


STREAM = RecordedRequest(
    name="recorded request 1 as a stream",
    origin=RequestOrigin.STREAM,
    body=json.dumps({**CASE, "stream": True}),
    answer=["a", "b"],
)


def streams(*chunks: str) -> Rule:
    """A server that also streams."""
    body = "".join(f"data: {json.dumps(chunk)}\n\n" for chunk in chunks) + "data: [DONE]\n\n"

    def rule(request: EndpointRequest) -> EndpointReply:
        return EndpointReply(body=body.encode()) if b"stream" in request.body else model(request)

    return rule


@pytest.mark.parametrize(
    ("rule", "rules"),
    [(streams("a", "b"), []), (streams("a", "c"), ["answers-differ"]), (streams("b", "a"), ["answers-differ"])],
    ids=["right", "a wrong chunk", "another order"],
)
def test_a_server_is_asked_for_streams(rule: Rule, rules: list[str]) -> None:
    """
    Their chunks are compared with those of training.
    """
    assert rules == [finding.rule for finding in observed(rule, more=(STREAM,)).complaints]


def test_a_server_without_streams_gets_a_notice() -> None:
    """
    As `mlflow models serve`, which responds with the whole prediction.
    """
    (finding,) = observed(
        lambda request: EndpointReply(body=b'{"predictions": []}') if b"stream" in request.body else model(request),
        more=(STREAM,),
    ).complaints

    assert ("not-streamed", Severity.NOTICE) == (finding.rule, finding.severity)


def test_a_server_that_starts_is_waited_for() -> None:
    """
    For as long as the deadline says.
    """
    statuses = iter([502, 503])

    def starting(request: EndpointRequest) -> EndpointReply:
        return next((EndpointReply(status=status) for status in statuses), None) or model(request)

    result = observed(starting, deadline_s=100.0)

    assert ((), True) == (result.complaints, result.healthy_after_s > 0)


def after_the_first(rule: Rule) -> Rule:
    """A server that is as another from its second response on."""
    first = iter([True])
    return lambda request: model(request) if next(first, False) else rule(request)


def test_a_server_that_stops_responding_is_not_asked_on() -> None:
    """
    A finding has the reason, and there is no other about what was not sent.
    """
    result = observed(after_the_first(lambda _: EndpointReply(stream=iter([]), headers={"Content-Length": "9"})))

    (finding,) = result.complaints
    assert ("case-refused", "derived: x got no response") == (finding.rule, finding.what)


def test_a_later_redirect_is_a_finding() -> None:
    """
    It is not followed either.
    """
    result = observed(after_the_first(redirecting(307, "https://b.example/")))

    assert "redirects" in result.complaints[0].what
    assert "https://b.example/" in result.complaints[0].why
