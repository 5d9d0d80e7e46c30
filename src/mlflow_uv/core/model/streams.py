"""Builds requests for streams, reads server-sent events, and compares the chunks of a stream with those of training."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from ...payloads.messages.lazy_dataclass import lazy_dataclass
from ..security.documents import parse_json
from .answer_paths import AnswerPath, without_paths
from .answers import AnswerDifference, differences
from .request_tables import read_table
from .signature import signature_specs

STREAM = "stream"  # the member of a request that MLflow's agent server takes out of it
_FIELD = "data:"
_DONE = "[DONE]"
_MARKS = (_FIELD, ":", "event:", "id:", "retry:")


@lazy_dataclass
class ServedStream:
    """The chunks of a response as JSON; `error` is the message of a stream that failed after them, else empty."""

    chunks: tuple[Any, ...]
    error: str = ""
    is_complete: bool = True


def stream_body(case: object, signature: Mapping[str, Any] | None) -> str | None:
    """
    The body of a request for the stream of a case; None for a case that is not an object.

    MLflow's predict_stream takes a single input, which is the first row of a table. Raises ValueError for an invalid
    signature.
    """
    if not isinstance(case, dict):
        return None
    table = read_table(case, signature_specs(signature, "inputs") or [])
    single = table.written(table.rows[:1]) if table is not None and table.has_batches else case
    return json.dumps({**single, STREAM: True})


def requests_stream(body: str) -> bool:
    """Whether a body is a JSON object whose member `stream` is true."""
    if f'"{STREAM}"' not in body:
        return False
    try:
        request = parse_json(body)
    except (ValueError, RecursionError):
        return False
    return isinstance(request, dict) and request.get(STREAM) is True


def is_stream(text: str) -> bool:
    """Whether the body of a response has server-sent events, and no JSON."""
    return text.startswith(_MARKS)


def read_stream(text: str) -> ServedStream | None:
    """
    The stream in the body of a response of server-sent events, each with JSON; None for another body.

    A stream is complete if it ends with `[DONE]`. MLflow's agent server sends the error of a stream that fails as a
    last chunk, an object whose only member is `error`. Raises ValueError for an event that is not JSON.
    """
    if not is_stream(text):
        return None
    chunks: list[Any] = []
    for event in text.replace("\r\n", "\n").split("\n\n"):
        lines = (line for line in event.split("\n") if line.startswith(_FIELD))
        content = "\n".join(line.removeprefix(_FIELD).removeprefix(" ") for line in lines)
        if content == _DONE:
            return ServedStream(chunks=tuple(chunks))
        if content:
            chunks.append(parse_json(content))
    return ServedStream(chunks=tuple(chunks), is_complete=False)


def failed_after(stream: ServedStream, recorded: Sequence[Any]) -> ServedStream:
    """The stream with the error that its last chunk reports, unless it is a chunk of training."""
    match stream.chunks[-1:]:
        case ({"error": str() as error, **rest},) if not rest and stream.chunks[-1] not in recorded:
            return replace(stream, chunks=stream.chunks[:-1], error=error or "an error without a message")
    return stream


def stream_differences(
    recorded: Sequence[Any], observed: Sequence[Any], ignored: Sequence[AnswerPath], *, tolerance: float
) -> Iterator[AnswerDifference]:
    """Yield every difference between two streams, chunk by chunk; `ignored` are paths into each chunk."""
    for number, pair in enumerate(zip(recorded, observed, strict=False), start=1):
        compared = (without_paths(chunk, ignored) for chunk in pair)
        for difference in differences(*compared, tolerance=tolerance):
            yield replace(difference, text=f"chunk {number}: {difference.text}")
    if len(recorded) != len(observed):
        text = f"the stream has {len(observed)} chunks, expected are {len(recorded)}"
        yield AnswerDifference("$", text)
