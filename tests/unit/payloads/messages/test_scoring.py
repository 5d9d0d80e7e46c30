"""The messages between a model that scores and its caller."""

from dataclasses import asdict

import pytest

from mlflow_uv.payloads.messages.reader import read
from mlflow_uv.payloads.messages.scoring import (
    BeginPart,
    EndPart,
    ReadBlock,
    RejectRow,
    ReportProgress,
    ScoringMessage,
    WriteBlock,
)

MESSAGES = (
    ReadBlock(file=0, offset=1, length=2),
    BeginPart(file=0, row=0),
    WriteBlock(data="eA=="),
    RejectRow(row=1, reason="no", record={"x": [1, None]}),
    ReportProgress(file=0, row=1, fraction=0.5),
    EndPart(rows=1, rejected=0, row=1, offset=9, last=True),
)


@pytest.mark.parametrize("message", MESSAGES, ids=lambda message: message.ask)
def test_a_message_is_read_as_it_was_sent(message: ScoringMessage) -> None:
    """
    Both sides have the same class for it.
    """
    assert message == read(type(message), asdict(message), what="it")


def test_each_message_has_a_name_of_its_own() -> None:
    """
    The name alone says which class a line is.
    """
    assert len(MESSAGES) == len({message.ask for message in MESSAGES})
