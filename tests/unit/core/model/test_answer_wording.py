"""Formatting differences between answers, and the error of a server that refuses a case."""

import json

import pytest

from mlflow_uv.core.model.answer_wording import (
    SHOWN,
    difference_fix,
    format_differences,
    ignoring_fix,
    reason_of,
    shortened,
)
from mlflow_uv.core.model.answers import AnswerDifference

CREATED = AnswerDifference("$.created", "$.created differs", 1_780_315_200, 1_780_315_201)
CHOICE = AnswerDifference("$.choices[1].id", "its id differs", "msg_0123456789abcdef", "msg_fedcba9876543210")
FLOAT = AnswerDifference("$[0]", "$[0] is 0.5 instead of 0.6", 0.6, 0.5)
WORD = AnswerDifference("$[0]", "$[0] differs", "red", "white")


def test_the_first_differences_are_listed_and_the_rest_counted() -> None:
    """
    A long response does not fill the log.
    """
    few, many = format_differences([WORD] * SHOWN), format_differences([WORD] * (SHOWN + 2))

    assert ("; ".join(["$[0] differs"] * SHOWN), f"{few}; and 2 more") == (few, many)


def test_values_of_the_moment_are_ignored_by_their_paths() -> None:
    """
    Positions in lists become wildcards, since the next response has as many items as it likes.
    """
    fix = str(ignoring_fix((CREATED, CHOICE)))

    assert "--ignore-answers '$.created,$.choices[*].id', which differ from response to response" == fix


@pytest.mark.parametrize(
    ("found", "fix"),
    [
        ((CREATED, WORD), "compare the two environments"),
        ((WORD,), "compare the two environments"),
        ((FLOAT, WORD), "compare the two environments, or set --tolerance NUMBER"),
    ],
    ids=["not all of the moment", "text", "floats"],
)
def test_other_differences_are_for_people(found: tuple[AnswerDifference, ...], fix: str) -> None:
    """
    A tolerance is offered only where it could accept a difference.
    """
    assert ("", fix) == (str(ignoring_fix(found)), str(difference_fix(found)))


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (json.dumps({"message": "failed", "stack_trace": "Traceback\n  x\nKeyError: 'a'"}), "failed KeyError: 'a'"),
        (
            json.dumps({"message": "KeyError: 'a' is missing", "stack_trace": "KeyError: 'a'"}),
            "KeyError: 'a' is missing",
        ),
        (json.dumps({"message": " failed ", "stack_trace": None}), "failed"),
        (json.dumps({"error": "failed"}), '{"error": "failed"}'),
        ('["failed"]', '["failed"]'),
        ("Internal Server Error", "Internal Server Error"),
    ],
    ids=["message and trace", "said already", "no trace", "other keys", "list", "no JSON"],
)
def test_the_reason_of_a_refused_case_is_mlflows_message(body: str, reason: str) -> None:
    """
    With the last line of its traceback, unless the message has it already; any other body is shown as it is.
    """
    assert reason == reason_of(body)


def test_the_middle_of_a_long_text_is_cut_out() -> None:
    """
    Its end stays: in an error the reason is there.
    """
    assert ("123456789", "123 [...] 567890") == (shortened("123456789", 9), shortened("1234567890", 9))
