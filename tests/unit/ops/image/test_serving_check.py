"""What a server is asked, and what is said of its answers."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any, cast

import pytest

from mlflow_uv.command.report import Finding
from mlflow_uv.core.model.answer_paths import parse_path
from mlflow_uv.core.model.recorded_requests import RecordedRequest, RequestOrigin, from_examples
from mlflow_uv.core.security.serve_env import ServeVariables
from mlflow_uv.ops.image.serving_check import Expected, observe
from mlflow_uv.tools.mlflow.model_requests import ModelReply, ModelRequest
from mlflow_uv.tools.toolbox import Tools

CASE = {"inputs": {"width": [1, 2], "age": [5, 7]}}


@dataclass
class FakeModelServer:
    """A server that answers as it is told, and keeps what it was asked."""

    reply: ModelReply | None
    replies: tuple[ModelReply | None, ...] = ()  # to derived requests
    asked: list[ModelRequest] = field(default_factory=list)
    seconds: float = 0.0
    exits_at: float | None = None

    def send(self, request: ModelRequest) -> ModelReply | None:
        """See Served."""
        self.asked.append(request)
        if request.path == "/ping":
            return ModelReply(status=200, body="")
        if request.body is not None and request.body.startswith(b'{"this is"'):
            return ModelReply(status=400, body="{}")
        return self.reply

    def send_all(self, requests: Sequence[ModelRequest]) -> tuple[ModelReply | None, ...]:
        """See Served."""
        self.asked.extend(requests)
        return self.replies

    def code(self) -> int | None:
        """See Served."""
        return 7 if self.exits_at is not None and self.seconds >= self.exits_at else None

    def log(self) -> str:
        """See Served."""
        return "model: canary-of-the-model\n"

    def stop(self) -> None:
        """See Served."""

    def now_s(self) -> float:
        """See Clock."""
        return self.seconds

    def wait(self, seconds: float) -> None:
        """See Clock."""
        self.seconds += seconds


def seen(server: FakeModelServer, answer: Any, **more: Any) -> tuple[Finding, ...]:
    """What is wrong with a server that has one case."""
    tools = cast("Tools", SimpleNamespace(clock=server))
    words = {"tolerance": 1e-6, "deadline_s": 5.0, "network": False, **more}
    requests = (*from_examples([CASE], [answer]), *words.pop("derived", ()))
    expected = Expected(requests=requests, **words)
    return observe(server, expected, tools).complaints


def answering(body: Any, status: int = 200) -> FakeModelServer:
    """A server with one answer."""
    return FakeModelServer(ModelReply(status=status, body=body if isinstance(body, str) else json.dumps(body)))


def test_a_server_is_asked_the_bytes_that_training_was_asked() -> None:
    """
    Keys stay in their order: a model without a signature takes columns as they come.
    """
    server = answering({"predictions": [15]})

    found = seen(server, {"predictions": [15]})

    body = next(request.body for request in server.asked if request.path == "/invocations")
    assert (b'{"inputs": {"width": [1, 2], "age": [5, 7]}}', ()) == (body, found)


def test_a_server_that_ends_is_not_taken_for_a_slow_one() -> None:
    """
    Its connection is closed a moment before its process has ended.
    """
    found = seen(FakeModelServer(None, exits_at=0.5), {"predictions": [15]})

    assert ("recorded request 1 got no response", "the server ended") == (found[0].what, found[0].why)


def test_a_server_that_ends_at_a_derived_request_is_not_taken_for_a_slow_one() -> None:
    """
    The same for the requests that are sent together.
    """
    server = FakeModelServer(answering({"predictions": [15]}).reply, replies=(None,), exits_at=0.5)

    found = seen(server, {"predictions": [15]}, derived=(derived(),))

    assert ("derived: empty batch got no response", "the server ended") == (found[0].what, found[0].why)


def test_only_what_is_ignored_may_differ() -> None:
    """
    The rest of the same answer is compared as ever.
    """
    ignored = (parse_path("$.created"), parse_path("$.choices[*].id"))
    trained = {"created": 1_764_130_000, "choices": [{"id": "a", "text": "yes"}]}
    same, other = ({"created": 1_764_130_009, "choices": [{"id": "b", "text": word}]} for word in ("yes", "no"))

    found = [seen(answering(answer), trained, ignored=ignored) for answer in (same, other)]

    assert [[], ["$.choices[0].text is 'no', expected is 'yes'"]] == [[one.why for one in each] for each in found]


@pytest.mark.parametrize(
    ("trained", "answer", "fix"),
    [
        ({"created": 1_764_130_000}, {"created": 1_764_130_009}, "--ignore-answers '$.created'"),
        ({"predictions": [1.0]}, {"predictions": [2.0]}, "--tolerance NUMBER"),
        ({"predictions": [1]}, {"predictions": [2]}, "compare the two environments"),
    ],
)
def test_a_difference_comes_with_what_can_close_it(trained: Any, answer: Any, fix: str) -> None:
    """
    A path where a clock differs; a tolerance where a floating-point number does, and only there.
    """
    (found,) = seen(answering(answer), trained)

    assert (True, "tolerance" in fix) == (fix in found.fix, "tolerance" in found.fix)


@pytest.mark.parametrize("reply", [None, ModelReply(status=504, body="{}")], ids=["none", "504"])
def test_an_answer_that_takes_too_long_names_the_input_that_gives_it_longer(reply: ModelReply | None) -> None:
    """
    Whether the server gives up or we do.
    """
    (found,) = seen(FakeModelServer(reply), {}, answer_s=7.5)

    assert "recorded request 1 got no response within 7.5 s" == found.what
    assert "--answer-timeout SECONDS" in found.fix


def test_the_reason_of_a_refusal_is_not_cut_off() -> None:
    """
    MLflow puts the whole input before it, and the exception at the end of a traceback.
    """
    trace = "Traceback (most recent call last):\n" + "  x\n" * 900 + "KeyError: 'MODEL_KEY'\n"
    body = {"error_code": "BAD_REQUEST", "message": "It cannot predict " + "9, " * 900, "stack_trace": trace}

    (found,) = seen(answering(body, status=400), {})

    assert found.why.startswith("status 400: It cannot predict")
    assert found.why.endswith("KeyError: 'MODEL_KEY'")
    assert len(found.why) < 1100


def test_no_finding_shows_what_the_model_was_given() -> None:
    """
    Neither where an answer differs nor where it is refused, nor where the log is quoted.
    """
    given = ServeVariables({"GREETING": "canary-of-the-model"})
    servers = (
        answering({"predictions": ["canary-of-the-model"]}),
        answering({"message": "no canary-of-the-model", "error_code": "X"}, status=400),
        FakeModelServer(None),
    )

    found = [finding for server in servers for finding in seen(server, {"predictions": [1]}, serve_env=given)]

    assert (3, False) == (len(found), "canary" in repr(found))


def derived(name: str = "empty batch", status: int = 200, **more: Any) -> RecordedRequest:
    """A derived request and the response of training."""
    return RecordedRequest(
        name=f"derived: {name}", origin=RequestOrigin.DERIVED, body=f'{{"of": "{name}"}}', status=status, **more
    )


def after_the_example(*replies: ModelReply | None) -> FakeModelServer:
    """A server that answers the example as training does, and these to derived requests."""
    return FakeModelServer(ModelReply(status=200, body="1"), replies)


def test_derived_requests_that_are_answered_and_refused_as_in_training_are_fine() -> None:
    """
    A refusal needs no more than a status of the client's and a message.
    """
    requests = (derived("a", answer=[1]), derived("b", 400, reason="no"), derived("c", 500, reason="KeyError"))
    refusal = ModelReply(status=422, body='{"message": "other words"}')
    server = after_the_example(ModelReply(status=200, body="[1]"), refusal, ModelReply(status=500, body="failed"))

    found = seen(server, 1, derived=requests)

    assert ((), [b'{"of": "a"}', b'{"of": "b"}', b'{"of": "c"}']) == (found, [item.body for item in server.asked[-3:]])


@pytest.mark.parametrize(
    ("request_", "reply", "rule", "what"),
    [
        (derived(answer=[1]), (200, "[2]"), "answers-differ", "the prediction for derived: empty batch is not that of"),
        (derived(answer=[1]), (400, "{}"), "case-refused", "derived: empty batch got no prediction"),
        (
            derived(answer={"a": 1}),
            (200, '{"a": 2, "a": 1}'),
            "case-refused",
            "the response to derived: empty batch cannot be read as JSON",
        ),
        (
            derived(answer=[1]),
            (200, "x"),
            "case-refused",
            "the response to derived: empty batch cannot be read as JSON",
        ),
        (derived(status=400), (200, "[1]"), "malformed-accepted", "derived: empty batch was not refused"),
        (derived(status=400), (500, "no"), "malformed-accepted", "derived: empty batch was not refused: the server"),
        (derived(status=500), (200, "[1]"), "malformed-accepted", "derived: empty batch was not refused"),
        (derived(status=400), (400, " "), "malformed-accepted", "derived: empty batch was refused without a message"),
    ],
)
def test_a_derived_request_with_another_response_is_named_with_a_command_that_repeats_it(
    request_: RecordedRequest, reply: tuple[int, str], rule: str, what: str
) -> None:
    """
    Whether the server predicts something else, refuses what training answers, or answers what training refuses.
    """
    (found,) = seen(after_the_example(ModelReply(status=reply[0], body=reply[1])), 1, derived=(request_,))

    assert (rule, what) == (found.rule, found.what[: len(what)])
    assert "send it: curl --header 'Content-Type: application/json' --data-raw" in found.fix
    assert '{"of": "empty batch"}' in found.fix


def test_derived_requests_are_not_sent_to_a_server_that_fails_the_example() -> None:
    """
    They would say the same many times.
    """
    server = answering([2])

    found = seen(server, [1], derived=(derived(answer=[1]),))

    assert ["answers-differ"] == [finding.rule for finding in found]
    assert b'{"of": "empty batch"}' not in [request.body for request in server.asked]


def test_many_derived_requests_that_fail_are_counted() -> None:
    """
    The first five with their differences.
    """
    requests = [derived(str(number), answer=1) for number in range(9)]

    found = seen(after_the_example(*[ModelReply(status=200, body="2")] * 9), 1, derived=requests)

    assert 6 == len(found)
    assert "4 more derived requests got another response than in the training environment" == found[-1].what


def test_nothing_is_said_of_derived_requests_after_one_without_a_response() -> None:
    """
    The server may hang; it is not known what it would respond.
    """
    requests = [derived(name, answer=1) for name in "abcd"]

    first, unsent = seen(after_the_example(ModelReply(status=200, body="1"), None, None, None), 1, derived=requests)

    assert ("case-refused", "derived: b got no response within 60 s") == (first.rule, first.what)
    assert ("derived-unsent", "2 more derived requests not sent") == (unsent.rule, unsent.what)
