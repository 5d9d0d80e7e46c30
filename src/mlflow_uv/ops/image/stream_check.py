"""Compares the stream in a server's response with the chunks of training."""

from collections.abc import Iterator

from ...command.report import Finding
from ...command.wording import Wording
from ...core.model.answer_paths import AnswerPath
from ...core.model.answer_wording import difference_fix, format_differences
from ...core.model.recorded_requests import RecordedRequest
from ...core.model.streams import failed_after, read_stream, stream_differences


def stream_findings(
    request: RecordedRequest, body: str, compared: tuple[tuple[AnswerPath, ...], float], *, sending: str
) -> Iterator[Finding]:
    """
    Yield a finding if a response with status 200 is no stream, fails, is cut off, or differs from training.

    `compared` are the ignored paths and the tolerance, and `sending` is the command that repeats the request.
    """
    ignored, tolerance = compared
    try:
        stream = read_stream(body)
    except (ValueError, RecursionError):
        yield Finding(rule="case-refused", what=f"the response to {request.name} has a chunk without JSON", fix=sending)
        return
    if stream is None:
        what = f"the response to {request.name} is not a stream of server-sent events"
        yield Finding(rule="case-refused", what=what, why="the model has predict_stream", fix=sending)
        return
    stream = failed_after(stream, request.answer)
    at = len(stream.chunks) + 1
    if stream.error:
        what = f"the stream of the server failed for {request.name}"
        yield Finding(rule="case-refused", what=what, why=f"chunk {at}: {stream.error}", fix=sending)
    elif not stream.is_complete:
        what = f"the stream of the server was cut off for {request.name}"
        why = f"the response ends before chunk {at}, without `[DONE]`"
        yield Finding(rule="case-refused", what=what, why=why, fix=sending)
    elif found := tuple(stream_differences(request.answer, stream.chunks, ignored, tolerance=tolerance)):
        yield Finding(
            rule="answers-differ",
            what=f"the prediction for {request.name} is not that of training",
            why=format_differences(found),
            fix=Wording(difference_fix(found), f"; {sending}"),
        )
