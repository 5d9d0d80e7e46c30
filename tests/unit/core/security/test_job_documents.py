"""Documents that one job hands to another."""

import pytest

from mlflow_uv.core.security.job_documents import read_job_document
from mlflow_uv.payloads.messages.lazy_dataclass import lazy_dataclass


class InvalidNote(ValueError):
    """A document that is no note."""


@lazy_dataclass
class Note:
    """A document with one part."""

    text: str


def read_note(data: bytes) -> Note:
    """Read a note of at most 60 bytes."""
    return read_job_document(Note, data, schema="note/1", limit=60, what="the note", invalid=InvalidNote)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b'{"schema": "note/1", "text": "' + b"x" * 60 + b'"}', "it is larger than 60 bytes"),
        (b"{", "it is not JSON: "),
        (b'["note/1"]', "its schema is not `note/1`"),
        (b'{"schema": "note/2", "text": "x"}', "its schema is not `note/1`"),
        (b'{"schema": "note/1", "text": 1}', "the note"),
        (b'{"schema": "note/1", "text": "x", "more": 1}', "the note"),
    ],
    ids=["large", "cut", "list", "schema", "type", "part"],
)
def test_any_other_document_is_refused_with_the_reason(data: bytes, reason: str) -> None:
    """
    Each reason is an error of the caller's own class.
    """
    with pytest.raises(InvalidNote) as refused:
        read_note(data)

    assert reason in str(refused.value)
    assert "x" == read_note(b'{"schema": "note/1", "text": "x"}').text
