"""What a server is asked, and what is said of its answers."""

import json
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any, cast

import pytest

from mlflow_uv.command.report import Finding
from mlflow_uv.core.model.answer_paths import parse_path
from mlflow_uv.core.security.serve_env import ServeVariables
from mlflow_uv.ops.image.serving_check import Expected, observe
from mlflow_uv.tools.mlflow.model_requests import ModelReply, ModelRequest
from mlflow_uv.tools.toolbox import Tools

CASE = {"inputs": {"width": [1, 2], "age": [5, 7]}}


@dataclass
class FakeModelServer:
    """A server that answers as it is told, and keeps what it was asked."""

    reply: ModelReply | None
    asked: list[ModelRequest] = field(default_factory=list)

    def send(self, request: ModelRequest) -> ModelReply | None:
        """See Served."""
        self.asked.append(request)
        if request.path == "/ping":
            return ModelReply(status=200, body="")
        if request.body is not None and request.body.startswith(b'{"this is"'):
            return ModelReply(status=400, body="{}")
        return self.reply

    def code(self) -> int | None:
        """See Served."""
        return None

    def log(self) -> str:
        """See Served."""
        return "model: canary-of-the-model\n"

    def stop(self) -> None:
        """See Served."""

    def now_s(self) -> float:
        """See Clock."""
        return 0.0


def seen(server: FakeModelServer, answer: Any, **more: Any) -> tuple[Finding, ...]:
    """What is wrong with a server that has one case."""
    tools = cast("Tools", SimpleNamespace(clock=server))
    words = {"tolerance": 1e-6, "deadline_s": 5.0, "network": False, **more}
    expected = Expected(cases=[CASE], answers=[answer], **words)
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

    found = [finding for server in servers for finding in seen(server, {"predictions": [1]}, handed=given)]

    assert (3, False) == (len(found), "canary" in repr(found))
