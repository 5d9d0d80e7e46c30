"""What is said of a stream that is not that of training."""

import pytest

from mlflow_uv.core.model.answer_paths import parse_path
from mlflow_uv.core.model.recorded_requests import RecordedRequest, RequestOrigin
from mlflow_uv.ops.image.stream_check import stream_findings

REQUEST = RecordedRequest(
    name="recorded request 1 as a stream",
    origin=RequestOrigin.STREAM,
    body='{"inputs": ["x"], "stream": true}',
    answer=[{"id": 1, "text": "a"}, {"id": 2, "text": "b"}],
)
FIRST, SECOND, DONE = 'data: {"id": 1, "text": "a"}\n\n', 'data: {"id": 9, "text": "b"}\n\n', "data: [DONE]\n\n"
SENDING = (
    'send it: curl --header \'Content-Type: application/json\' --data-raw \'{"inputs": ["x"], "stream": true}\' URL'
)


def findings_about(body: str) -> list[tuple[str, str, str]]:
    """Rule, sentence and reason of each finding, with ids ignored."""
    findings = list(stream_findings(REQUEST, body, ((parse_path("$.id"),), 0.0), sending=SENDING))
    assert all(SENDING in finding.fix for finding in findings)
    return [(finding.rule, finding.what, finding.why) for finding in findings]


def test_the_chunks_of_training_pass() -> None:
    """
    With the ignored paths left out of each of them.
    """
    assert [] == findings_about(FIRST + SECOND + DONE)


@pytest.mark.parametrize(
    ("body", "rule", "what", "why"),
    [
        (
            FIRST + SECOND.replace("b", "c") + DONE,
            "answers-differ",
            "the prediction for recorded request 1 as a stream is not that of training",
            "chunk 2: $.text is 'c', expected is 'b'",
        ),
        (
            FIRST + DONE,
            "answers-differ",
            "the prediction for recorded request 1 as a stream is not that of training",
            "the stream has 1 chunks, expected are 2",
        ),
        (
            FIRST + 'data: {"error": "no memory"}\n\n' + DONE,
            "case-refused",
            "the stream of the server failed for recorded request 1 as a stream",
            "chunk 2: no memory",
        ),
        (
            FIRST,
            "case-refused",
            "the stream of the server was cut off for recorded request 1 as a stream",
            "the response ends before chunk 2, without `[DONE]`",
        ),
        (
            '{"predictions": ["a b"]}',
            "case-refused",
            "the response to recorded request 1 as a stream is not a stream of server-sent events",
            "the model has predict_stream",
        ),
        (
            "data: a\n\n",
            "case-refused",
            "the response to recorded request 1 as a stream has a chunk without JSON",
            "",
        ),
    ],
)
def test_another_stream_is_refused_and_the_chunk_is_named(body: str, rule: str, what: str, why: str) -> None:
    """
    One that differs, ends early, fails, is cut off, or is no stream.
    """
    assert [(rule, what, why)] == findings_about(body)
