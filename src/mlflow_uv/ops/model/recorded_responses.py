"""Selects which responses of the training environment are recorded, for all requests but the input example."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

from ...command.inputs import TOLERANCE
from ...command.report import Finding, Severity, counted
from ...core.model.answer_paths import AnswerPath, without_paths
from ...core.model.answer_wording import SHOWN, format_differences, ignoring_fix, repeatable_fix
from ...core.model.answers import AnswerDifference, differences
from ...core.model.derived_requests import PREFIX, DerivedRequest
from ...core.model.recorded_requests import RecordedRequest, RequestOrigin
from ...core.model.streams import stream_differences
from ...payloads.messages.models import ModelResponse
from .case_file import FileCase

MOST_FINDINGS = 10

Responses = Sequence[ModelResponse | None]


def record_cases(
    cases: Sequence[FileCase],
    responses: tuple[Responses, Responses],
    ignored: Sequence[AnswerPath],
    *,
    tolerance: float,
) -> tuple[tuple[RecordedRequest, ...], tuple[Finding, ...]]:
    """
    Return the requests of the file with the responses of training, and findings, each on its line.

    `responses` are those of two passes. It is an error if a request gets no prediction, a different one in the second
    pass, or another than the file expects.
    """
    recorded: list[RecordedRequest] = []
    findings: list[Finding] = []
    for case, first, second in zip(cases, *responses, strict=True):
        if first is None or second is None:
            continue
        request = _recorded(case.name, RequestOrigin.FILE, case.body, first)
        recorded.append(request)
        findings += _about_case(case, request, second, ignored, tolerance=tolerance)
    if more := findings[MOST_FINDINGS:]:
        lines = ", ".join(str(finding.line) for finding in more[:MOST_FINDINGS])
        rest = Finding(
            rule=more[0].rule,
            what=f"{counted(len(more), 'more request')} of the file failed",
            why=f"on line {lines}{' and others' if len(more) > MOST_FINDINGS else ''}",
            path=more[0].path,
            line=more[0].line,
        )
        findings = [*findings[:MOST_FINDINGS], rest]
    return tuple(recorded), tuple(findings)


def record_derived(
    derived: Sequence[DerivedRequest], responses: tuple[Responses, Responses], ignored: Sequence[AnswerPath]
) -> tuple[tuple[RecordedRequest, ...], tuple[Finding, ...]]:
    """Return the derived requests with the same response in both passes, and a notice that counts the others."""
    recorded, left_out = [], []
    for request, first, second in zip(derived, *responses, strict=True):
        if first is None or second is None or _changes(first, second, ignored):
            left_out.append(request.name.removeprefix(PREFIX))
        else:
            item = _recorded(request.name, RequestOrigin.DERIVED, request.body, first)
            recorded.append(replace(item, content_type=request.content_type))
    return tuple(recorded), tuple(_left_out(left_out, len(derived)))


def record_streams(
    bodies: Sequence[str], responses: tuple[Responses, Responses], ignored: Sequence[AnswerPath]
) -> tuple[tuple[RecordedRequest, ...], tuple[Finding, ...]]:
    """
    Return the requests for streams with the chunks of training, and findings; none for a model without predict_stream.

    It is an error if a stream fails, which names the chunk, does not end, or has other chunks in the second pass.
    """
    recorded: list[RecordedRequest] = []
    findings: list[Finding] = []
    for number, (body, first, second) in enumerate(zip(bodies, *responses, strict=True), start=1):
        if first is None or second is None:
            continue
        request = _recorded(f"recorded request {number} as a stream", RequestOrigin.STREAM, body, first)
        recorded.append(request)
        findings += _about_stream(request, second, ignored)
    return tuple(recorded), tuple(findings)


def _about_stream(request: RecordedRequest, again: ModelResponse, ignored: Sequence[AnswerPath]) -> Iterator[Finding]:
    if failed := request.reason or again.reason:
        yield Finding(
            rule="stream-failed",
            what=f"predict_stream of the model fails for {request.name}",
            why=failed,
            fix="correct predict_stream, or remove it",
        )
    elif unstable := tuple(stream_differences(request.answer, again.answer, ignored, tolerance=TOLERANCE)):
        yield Finding(
            rule="answers-fickle",
            what=f"the model returns other chunks for {request.name} each time",
            why=format_differences(unstable),
            fix=ignoring_fix(unstable) or repeatable_fix("predict_stream"),
        )


def _recorded(name: str, origin: RequestOrigin, body: str, response: ModelResponse) -> RecordedRequest:
    return RecordedRequest(
        name=name,
        origin=origin,
        body=body,
        status=response.status,
        answer=response.answer,
        reason=response.reason,
    )


def _about_case(
    case: FileCase,
    request: RecordedRequest,
    again: ModelResponse,
    ignored: Sequence[AnswerPath],
    *,
    tolerance: float,
) -> Iterator[Finding]:
    place = {"path": case.file, "line": case.line}
    if not request.is_answered:
        yield Finding(
            rule="case-refused",
            what=f"the model does not answer {case.name}",
            why=f"status {request.status}: {request.reason}",
            fix="correct the request, or remove the line",
            **place,  # type: ignore[arg-type]  # a path and a line
        )
        return
    if unstable := _differing(request.answer, again.answer, ignored, tolerance=TOLERANCE):
        yield Finding(
            rule="answers-fickle",
            what=f"the model returns another prediction for {case.name} each time",
            why=format_differences(unstable),
            fix=ignoring_fix(unstable) or repeatable_fix("predict"),
            **place,  # type: ignore[arg-type]  # as above
        )
    elif case.has_expected and (wrong := _differing(case.expected, request.answer, ignored, tolerance=tolerance)):
        yield Finding(
            rule="cases-differ",
            what=f"the prediction of training for {case.name} is not the expected one",
            why=format_differences(wrong),
            fix="correct the expected prediction, or the model",
            **place,  # type: ignore[arg-type]  # as above
        )


def _changes(first: ModelResponse, second: ModelResponse, ignored: Sequence[AnswerPath]) -> bool:
    """Whether two responses differ in their status or answer; the words of a refusal do not count."""
    if first.status != second.status:
        return True
    return bool(_differing(first.answer, second.answer, ignored, tolerance=TOLERANCE))


def _differing(
    expected: object, observed: object, ignored: Sequence[AnswerPath], *, tolerance: float
) -> tuple[AnswerDifference, ...]:
    compared = (without_paths(expected, ignored), without_paths(observed, ignored))
    return tuple(differences(*compared, tolerance=tolerance))


def _left_out(names: Sequence[str], total: int) -> Iterator[Finding]:
    if names:
        shown, more = "; ".join(names[:SHOWN]), f"; and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
        yield Finding(
            rule="derived-left-out",
            severity=Severity.NOTICE,
            what=f"{len(names)} of {counted(total, 'derived request')} are not tested",
            why=f"the response in the training environment differs each time, has a name twice or takes too"
            f" long: {shown}{more}",
        )
