"""How the streams of a way of serving are compared with those of training."""

from types import SimpleNamespace
from typing import Any, cast

import pytest

from mlflow_uv.core.model.answer_paths import parse_path
from mlflow_uv.core.model.recorded_requests import RecordedRequest, RequestOrigin, from_examples
from mlflow_uv.core.security.serve_env import ServeVariables
from mlflow_uv.core.verify.results import Verdict
from mlflow_uv.ops.image.serving_check import Expected
from mlflow_uv.ops.verify.comparison import Verification, streamed
from mlflow_uv.payloads.messages.models import ModelResponse

SECRET = "canary-of-the-model"  # planted
STREAM = RecordedRequest(
    name="recorded request 1 as a stream",
    origin=RequestOrigin.STREAM,
    body='{"inputs": [1], "stream": true}',
    answer=[{"id": 1, "text": "a"}, {"id": 2, "text": "b"}],
)


def verification(*requests: RecordedRequest) -> Verification:
    """Of a version with these requests."""
    nothing = cast("Any", SimpleNamespace())
    return Verification(
        registry=nothing,
        subject=nothing,
        environments=nothing,
        expected=Expected(
            requests=(*from_examples([{"inputs": [1]}], [[1.0]]), *requests),
            tolerance=1e-6,
            deadline_s=5.0,
            network=False,
            ignored=(parse_path("$.id"),),
            serve_env=ServeVariables({"MODEL_KEY": SECRET}),
        ),
        scratch=nothing,
        spark_master="",
        secrets=(),
    )


def chunks(*texts: str, reason: str = "") -> ModelResponse:
    """A stream with other ids than that of training."""
    answer = [{"id": 9, "text": text} for text in texts]
    return ModelResponse(status=500 if reason else 200, answer=answer, reason=reason)


def test_whole_predictions_and_streams_are_requested_apart() -> None:
    """
    A way without streams gets the others only.
    """
    verified = verification(STREAM)

    assert ([[1.0]], [STREAM]) == (list(verified.answers), list(verified.streams))
    assert [{"inputs": [1]}] == list(verified.contents)


@pytest.mark.parametrize(
    ("response", "verdict", "why"),
    [
        (chunks("a", "b"), Verdict.EQUAL, ""),
        (chunks("a", "c"), Verdict.DIFFERENT, "chunk 2: $.text is 'c', expected is 'b'"),
        (chunks("b", "a"), Verdict.DIFFERENT, "chunk 1: $.text is 'b', expected is 'a'"),
        (chunks("a"), Verdict.DIFFERENT, "the stream has 1 chunks, expected are 2"),
        (chunks("a", reason=f"chunk 2: ValueError: {SECRET}"), Verdict.FAILED, "chunk 2: ValueError: ***"),
        (None, Verdict.FAILED, "the model has no predict_stream"),
    ],
    ids=["equal", "wrong", "order", "short", "failed", "none"],
)
def test_streams_are_compared_chunk_by_chunk(response: ModelResponse | None, verdict: Verdict, why: str) -> None:
    """
    With ignored paths left out of each chunk, and values masked.
    """
    result = streamed("locked-load", [response], verification(STREAM))

    assert (verdict, 2) == (result.verdict, result.requests)
    assert why in result.why
