"""What a request line that nobody should send is answered with, before any module of a verb is imported."""

import io
from typing import Any

import pytest

from mlflow_uv.payloads.channel import Channel
from mlflow_uv.payloads.dispatch import CONVERSING, VERBS, respond
from mlflow_uv.payloads.problems import ProblemKind


def refusal(verb: str, request: dict[str, Any], channel: Channel | None = None) -> tuple[str, str]:
    """The kind and the message of the error."""
    error = respond(verb, request, channel)["error"]
    return error["kind"], error["message"]


@pytest.mark.parametrize("verb", ["", "no-such-verb", "scoring.scorer"])
def test_an_unknown_verb_is_refused(verb: str) -> None:
    """
    A verb is a name in a table: text of a request is imported nowhere.
    """
    assert (ProblemKind.INVALID.value, f"unknown verb `{verb}`") == refusal(verb, {})


def test_a_verb_that_converses_needs_a_channel_and_no_other_gets_one() -> None:
    """
    A caller that expects one line of response never waits for one that is a message, and the reverse.
    """
    channel = Channel(io.StringIO(), io.StringIO())

    kinds = [refusal(verb, {})[0] for verb in CONVERSING] + [refusal("describe-environment", {}, channel)[0]]

    assert [ProblemKind.INVALID.value] * 3 == kinds


def test_a_request_with_a_part_that_it_does_not_have_is_refused() -> None:
    """
    Both sides are of one release: a part that is not declared is an error, not ignored.
    """
    kind, message = refusal("describe-environment", {"python": "3.9"})

    assert ProblemKind.INVALID.value == kind
    assert "python" in message


def test_each_verb_has_one_class() -> None:
    """
    Two requests with one verb would hide each other.
    """
    assert len(VERBS) == len({kind.verb for kind in VERBS})
