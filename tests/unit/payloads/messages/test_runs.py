"""Every message in `messages/runs` is the same on the other side, and no malformed one is read."""

from dataclasses import asdict
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlflow_uv.payloads.messages import runs
from mlflow_uv.payloads.messages.reader import read
from tests.roundtrips import instances, messages_of, sent

KINDS = messages_of(runs)


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
