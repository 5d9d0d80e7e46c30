"""Which responses of training are recorded, and what is said of the others."""

from pathlib import Path
from typing import Any

import pytest

from mlflow_uv.command.report import Severity
from mlflow_uv.core.model.answer_paths import parse_path
from mlflow_uv.core.model.derived_requests import DerivedRequest
from mlflow_uv.ops.model.case_file import FileCase
from mlflow_uv.ops.model.recorded_responses import MOST_FINDINGS, record_cases, record_derived, record_streams
from mlflow_uv.payloads.messages.models import ModelResponse

FILE = Path("/project/cases.jsonl")


def answered(value: Any) -> ModelResponse:
    """A response with a prediction."""
    return ModelResponse(status=200, answer={"predictions": [value]})


REFUSED = ModelResponse(status=400, reason="no column `age`")


def case(line: int = 3, **expected: Any) -> FileCase:
    """A request on a line of the file."""
    return FileCase(file=FILE, line=line, body="{}", has_expected=bool(expected), **expected)


def test_an_expected_prediction_within_the_tolerance_is_recorded_as_training_predicts_it() -> None:
    """
    The server is compared with training, not with the file.
    """
    expecting = case(expected={"predictions": [1.04]})

    (recorded,), findings = record_cases([expecting], ([answered(1.0)], [answered(1.0)]), (), tolerance=0.1)

    assert (("line 3 of cases.jsonl", {"predictions": [1.0]}), ()) == ((recorded.name, recorded.answer), findings)


def test_another_prediction_than_the_expected_one_names_the_line_and_the_difference() -> None:
    """
    At that line of the file.
    """
    _, (found,) = record_cases(
        [case(expected={"predictions": [2.0]})], ([answered(1.0)], [answered(1.0)]), (), tolerance=0.1
    )

    assert ("cases-differ", FILE, 3, Severity.ERROR) == (found.rule, found.path, found.line, found.severity)
    assert "the prediction of training for line 3 of cases.jsonl is not the expected one" == found.what
    assert "$.predictions[0] is 1.0, expected is 2.0" == found.why


def test_null_can_be_expected() -> None:
    """
    It is a value of JSON, other than no expectation.
    """
    _, found = record_cases([case(expected=None)], ([answered(1)], [answered(1)]), (), tolerance=0)

    assert ["cases-differ"] == [finding.rule for finding in found]


@pytest.mark.parametrize(
    ("responses", "rule", "why"),
    [
        (([REFUSED], [REFUSED]), "case-refused", "status 400: no column `age`"),
        (([answered(1)], [answered(2)]), "answers-fickle", "$.predictions[0] is 2, expected is 1"),
    ],
)
def test_a_request_of_the_file_must_be_answered_and_steadily(responses: Any, rule: str, why: str) -> None:
    """
    Else nothing could be compared with it.
    """
    _, (found,) = record_cases([case()], responses, (), tolerance=0)

    assert (rule, why, 3) == (found.rule, found.why, found.line)


@pytest.mark.parametrize(("text", "rules"), [("hello", []), ("hallo", ["cases-differ"])])
def test_ignored_paths_of_a_request_of_the_file_are_not_compared(text: str, rules: list[str]) -> None:
    """
    Neither with the expected response nor with a second one; a wrong value elsewhere is refused.
    """
    responses = [ModelResponse(status=200, answer={"id": name, "text": text}) for name in ("a", "b")]
    expecting = case(expected={"id": "c", "text": "hello"})

    _, found = record_cases([expecting], ([responses[0]], [responses[1]]), (parse_path("$.id"),), tolerance=0)

    assert rules == [finding.rule for finding in found]


def test_a_time_in_a_response_to_the_file_can_be_ignored() -> None:
    """
    The fix names its path, as for the input example.
    """
    responses = [ModelResponse(status=200, answer={"created": 1_764_130_000 + step}) for step in (0, 1)]

    _, (found,) = record_cases([case()], ([responses[0]], [responses[1]]), (), tolerance=0)

    assert "--ignore-answers '$.created'" in str(found.fix)


def test_many_lines_that_fail_are_counted() -> None:
    """
    The first ones with their differences.
    """
    cases = [case(line, expected=0) for line in range(1, 31)]

    _, found = record_cases(cases, ([answered(1)] * 30, [answered(1)] * 30), (), tolerance=0)

    assert (MOST_FINDINGS + 1, "20 more requests of the file failed") == (len(found), found[-1].what)
    assert found[-1].why.startswith("on line 11, 12, ")


def test_derived_requests_with_the_same_response_twice_are_recorded() -> None:
    """
    A prediction or a refusal, whose words may differ; ignored paths may differ, too.
    """
    requests = [DerivedRequest(f"derived: {name}", "") for name in "abc"]
    first: list[Any] = [
        answered(1),
        ModelResponse(status=400, reason="at 0x1"),
        ModelResponse(status=200, answer={"id": 1}),
    ]
    second: list[Any] = [
        answered(1),
        ModelResponse(status=400, reason="at 0x2"),
        ModelResponse(status=200, answer={"id": 2}),
    ]

    recorded, findings = record_derived(requests, (first, second), (parse_path("$.id"),))

    assert (["derived: a", "derived: b", "derived: c"], ()) == ([item.name for item in recorded], findings)


def test_derived_requests_without_a_steady_response_are_left_out_and_counted() -> None:
    """
    Another prediction, another status, none in time.
    """
    requests = [DerivedRequest(f"derived: {name}", "") for name in "abcd"]

    recorded, (found,) = record_derived(
        requests, ([answered(1), answered(1), None, REFUSED], [answered(2), REFUSED, None, REFUSED]), ()
    )

    assert (["derived: d"], "derived-left-out", Severity.NOTICE) == (
        [item.name for item in recorded],
        found.rule,
        found.severity,
    )
    assert "3 of 4 derived requests are not tested" == found.what
    assert found.why.endswith("a; b; c")


def streamed(*chunks: Any, reason: str = "") -> ModelResponse:
    """A stream, which failed with a reason."""
    return ModelResponse(status=500 if reason else 200, answer=list(chunks), reason=reason)


def test_a_stream_is_recorded_with_its_chunks() -> None:
    """
    A model without predict_stream has none.
    """
    streams = [streamed("a", "b")]

    (recorded,), findings = record_streams(["{}"], (streams, streams), ())

    assert ("recorded request 1 as a stream", ["a", "b"], True) == (recorded.name, recorded.answer, recorded.is_stream)
    assert ((), ((), ())) == (findings, record_streams(["{}"], ([None], [None]), ()))


def test_a_stream_that_fails_names_the_chunk() -> None:
    """
    Also if it fails in the second pass alone.
    """
    failing = streamed("a", reason="chunk 2: ValueError: no")

    for responses in (([failing], [failing]), ([streamed("a")], [failing])):
        _, (finding,) = record_streams(["{}"], responses, ())
        assert ("stream-failed", "chunk 2: ValueError: no", Severity.ERROR) == (
            finding.rule,
            finding.why,
            finding.severity,
        )


def test_a_stream_that_differs_each_time_is_an_error_unless_that_is_ignored() -> None:
    """
    Ids are ignored by their path in each chunk.
    """
    first, second = streamed({"id": "a1"}), streamed({"id": "a2"})

    _, (finding,) = record_streams(["{}"], ([first], [second]), ())
    _, none = record_streams(["{}"], ([first], [second]), (parse_path("$.id"),))

    assert ("answers-fickle", "chunk 1: $.id is 'a2', expected is 'a1'", ()) == (finding.rule, finding.why, none)
