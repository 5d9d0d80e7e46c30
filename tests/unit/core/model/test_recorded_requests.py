"""How recorded requests travel in a model, and how they are repeated by hand."""

import json
import shlex
from dataclasses import replace

import pytest

from mlflow_uv.core.model.recorded_requests import (
    RecordedRequest,
    RequestOrigin,
    counted_by_origin,
    from_examples,
    read_recorded,
    requests_file,
    responses_file,
    sending_fix,
)

REFUSED = RecordedRequest(
    name="derived: empty body", origin=RequestOrigin.DERIVED, body="", status=400, reason="not JSON"
)
ANSWERED = RecordedRequest(
    name="line 1 of cases.jsonl", origin=RequestOrigin.FILE, body='{"inputs":  [1]}', answer={"predictions": [2.5]}
)


def test_requests_and_responses_survive_their_files() -> None:
    """
    The body as exact text, with whatever spaces it has; a refusal with its status and reason.
    """
    files = [json.loads(text((REFUSED, ANSWERED))) for text in (requests_file, responses_file)]

    assert (REFUSED, ANSWERED) == read_recorded(*files)
    assert ["content-type" in request for request in files[0]] == [False, False]


def test_the_media_type_of_a_body_survives_and_no_other_is_read() -> None:
    """
    It becomes a header, so that a model cannot choose it freely.
    """
    as_csv = replace(ANSWERED, body="x\n1\n", content_type="text/csv")
    requests, responses = (json.loads(text((as_csv,))) for text in (requests_file, responses_file))

    assert (as_csv,) == read_recorded(requests, responses)
    with pytest.raises(ValueError, match="media type"):
        read_recorded([{**requests[0], "content-type": "text/csv\r\nX: 1"}], responses)


@pytest.mark.parametrize(
    ("requests", "responses"),
    [
        (None, []),
        ([{}], [{}]),
        ([], [{"status": 200}]),
        ([{"name": "a", "origin": "b", "body": ""}], [{"status": 1}]),
        ([7], [7]),
    ],
)
def test_what_is_no_recorded_request_is_refused(requests: object, responses: object) -> None:
    """
    In a sentence, not in a traceback.
    """
    with pytest.raises(ValueError, match=r"requests|origin|zip|RequestOrigin"):
        read_recorded(requests, responses)


def test_an_example_is_sent_with_the_bytes_that_training_answered() -> None:
    """
    Keys stay in their order: a model without a signature takes columns as they come.
    """
    (found,) = from_examples([{"inputs": {"width": [1], "age": [5]}}], [{"predictions": [1]}])

    assert '{"inputs": {"width": [1], "age": [5]}}' == found.body


def test_requests_are_counted_by_where_they_come_from() -> None:
    """
    Places without requests are left out.
    """
    examples = from_examples([1], [1])

    found = [
        counted_by_origin(requests) for requests in (examples, (*examples, ANSWERED, ANSWERED, REFUSED), (REFUSED,))
    ]

    assert ["1 example", "1 example, 2 of the file, 1 derived", "1 derived"] == found


def test_a_request_is_repeated_by_a_command_with_its_exact_body() -> None:
    """
    Quoted for a shell.
    """
    words = shlex.split(sending_fix(RecordedRequest(name="x", origin=RequestOrigin.FILE, body='{"inputs": ["it\'s"]}')))

    assert ["send", "it:", "curl", "--header"] == words[:4]
    assert ["--data-raw", '{"inputs": ["it\'s"]}', "http://127.0.0.1:8080/invocations"] == words[-3:]


def test_a_repeated_request_refers_to_the_variables_of_its_headers() -> None:
    """
    A shell puts their values in; no value is printed.
    """
    request = RecordedRequest(name="x", origin=RequestOrigin.FILE, body="{}")

    fix = sending_fix(request, "https://x/invocations", {"Authorization": "SERVER_TOKEN"})

    assert (
        "send it: curl --header \"Authorization: $SERVER_TOKEN\" --header 'Content-Type: application/json' --data-raw"
        " '{}' https://x/invocations"
    ) == fix


@pytest.mark.parametrize(
    ("origin", "body", "place"),
    [
        (
            RequestOrigin.DERIVED,
            "x" * 1001,
            "the request is in the model's `mlflow-uv/requests.json`, as the body of 'x'",
        ),
        (RequestOrigin.FILE, '"\u00e9"', "the request is in the model's `mlflow-uv/requests.json`, as the body of 'x'"),
        (RequestOrigin.EXAMPLE, "x" * 1001, "the request is in the model's `mlflow-uv/cases.json`"),
    ],
)
def test_a_body_that_no_command_line_should_hold_is_named_by_its_place(
    origin: RequestOrigin, body: str, place: str
) -> None:
    """
    A long one, and one that a terminal might change.
    """
    assert place == sending_fix(RecordedRequest(name="x", origin=origin, body=body))
