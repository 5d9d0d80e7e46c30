"""Reads the JSON documents that one job hands to another, which trusts nothing in them."""

from typing import TypeVar

from ...payloads.messages.reader import read
from .documents import parse_json
from .toml_documents import Unparsable

T = TypeVar("T")


def read_job_document(  # noqa: PLR0913  # a document has all of these
    kind: type[T], data: bytes, *, schema: str, limit: int, what: str, invalid: type[ValueError]
) -> T:
    """
    Read a document of at most `limit` bytes whose `schema` is this one, with the parts that a class has.

    Raises `invalid`, with the reason, for any other; `what` is the document in that reason.
    """
    if len(data) > limit:
        raise invalid(f"it is larger than {limit} bytes")
    try:
        raw = parse_json(data)
    except Unparsable as error:
        raise invalid(f"it is not JSON: {error}") from error
    if not isinstance(raw, dict) or raw.pop("schema", None) != schema:
        raise invalid(f"its schema is not `{schema}`")
    try:
        return read(kind, raw, what=what)
    except ValueError as error:
        raise invalid(str(error)) from error
