"""What is handed over of recorded answers, and under which name the champion's description is looked for."""

import re

from mlflow_uv.core.model.answers import answers_digest
from mlflow_uv.core.model.derived_formats import CSV_TYPE
from mlflow_uv.core.model.recorded_requests import RecordedRequest, RequestOrigin
from mlflow_uv.core.version_difference.description import answer_summaries, champion_artifact

EXAMPLE = RecordedRequest(
    name="recorded request 1",
    origin=RequestOrigin.EXAMPLE,
    body='{"inputs": [1]}',
    answer={"predictions": [2], "created": 1.7e9},
)


def test_what_the_project_does_not_compare_is_not_in_an_answer() -> None:
    """
    Neither in its value nor in its digest, also in each chunk of a stream.
    """
    stream = RecordedRequest(
        name="s", origin=RequestOrigin.STREAM, body="{}", answer=[{"created": 1, "text": "a"}, {"created": 2}]
    )

    refused = RecordedRequest(name="r", origin=RequestOrigin.STREAM, body="{}", status=400, reason="no")

    example, chunks, none = answer_summaries((EXAMPLE, stream, refused), ("$.created",), values=True)

    assert ({"predictions": [2]}, [{"text": "a"}, {}], None) == (example.answer, chunks.answer, none.answer)
    assert answers_digest(None) == none.sha256
    assert answers_digest({"predictions": [2]}) == example.sha256


def test_without_values_the_digests_are_the_same() -> None:
    """
    A project that shows no answers still learns which differ.
    """
    (with_value,), (without,) = (tuple(answer_summaries((EXAMPLE,), (), values=values)) for values in (True, False))

    assert (None, with_value.sha256, with_value.request) == (without.answer, without.sha256, without.request)


def test_a_request_is_its_body_and_its_media_type() -> None:
    """
    The same bytes as CSV are another request, and a refused one has no answer.
    """
    csv = RecordedRequest(
        name="d", origin=RequestOrigin.DERIVED, body=EXAMPLE.body, status=400, reason="no", content_type=CSV_TYPE
    )

    example, refused = answer_summaries((EXAMPLE, csv), (), values=True)

    assert (False, 400, None) == (example.request == refused.request, refused.status, refused.answer)


def test_the_name_of_an_artifact_has_no_character_that_github_refuses() -> None:
    """
    Whatever the model is called; two models have two names.
    """
    names = [champion_artifact(name) for name in ("wine", 'wi/ne:"<>|*?\\', "ŵine ü")]

    assert all(re.fullmatch(r"mlflow-uv-champion-[0-9a-f]{16}", name) for name in names)
    assert 3 == len(set(names))
