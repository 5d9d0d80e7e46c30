"""Every message in `messages/registry` is the same on the other side, and no malformed one is read."""

from dataclasses import asdict
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlflow_uv.payloads.messages import registry
from mlflow_uv.payloads.messages.reader import read
from mlflow_uv.payloads.messages.request import Request
from tests.roundtrips import instances, messages_of, sent

KINDS = messages_of(registry)


@given(st.sampled_from(KINDS).flatmap(instances))
def test_a_message_arrives_as_it_was_sent(message: Any) -> None:
    """
    Whatever its parts hold: JSON has no tuples, and no integers that are floats.
    """
    assert message == sent(message)


@given(st.sampled_from(KINDS).flatmap(instances))
def test_an_unknown_part_is_refused(message: Any) -> None:
    """
    A program of another version is noticed at its first message.
    """
    parts = {**asdict(message), "unheard of": 1}

    with pytest.raises(ValueError, match="unknown parts: unheard of"):
        read(type(message), parts, what="it")


def test_each_request_names_its_verb() -> None:
    """
    The name of a verb is the wire format: two requests of one name could not be told apart.
    """
    verbs = [kind.verb for kind in KINDS if issubclass(kind, Request)]

    assert (sorted(set(verbs)), True) == (sorted(verbs), all(verb == verb.lower() for verb in verbs))
