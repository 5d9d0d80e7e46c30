"""
Writes the description of a version as JSON, and reads one from an untrusted source.

The job of a pull request writes the file, and a job with permissions reads it: the author of the pull request decides
every byte. What is read has a bounded size and depth, and no number that is not finite.
"""

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import asdict, replace
from itertools import islice
from typing import Any

from ...command.lazy_pattern import lazy_pattern
from ...payloads.messages.tags import TESTED
from ..model.signature import described_columns, signature_specs
from ..security.job_documents import read_job_document
from .description import AnswerSummary, MetricSet, VersionDescription

SCHEMA = "mlflow-uv/version-description/1"
LIMIT = 500_000  # bytes
MOST_METRICS = 100
MOST_PACKAGES = 1_000
MOST_ANSWERS = 100
LARGEST_ANSWER = 2_000  # bytes of one answer as JSON
_LARGEST_SIGNATURE = 50_000  # bytes
_MOST_DATA = 20
_LONGEST = 300  # characters of a text
_DEPTH = 30  # levels of an answer or a signature
_LARGEST = 1 << 60
_DIGEST = lazy_pattern(r"[0-9a-f]{64}")
_COMMIT = lazy_pattern(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")
_STATES = frozenset({"none", "registered", "failed", *TESTED})
_ANSWERED = range(100, 600)
_PARTS = ("inputs", "outputs", "params")


class InvalidDescription(ValueError):
    """A document that is no description of a version; the message is the reason."""


def description_document(description: VersionDescription) -> bytes:
    """Write a description, within the limits that `read_description` requires."""
    bounded = _bounded(description)
    while True:
        data = json.dumps({"schema": SCHEMA, **asdict(bounded)}, indent=1, allow_nan=False).encode() + b"\n"
        if len(data) <= LIMIT:
            return data
        bounded = _shortened(bounded)


def read_description(data: bytes) -> VersionDescription:
    """Read a description. Raises InvalidDescription for any other document."""
    description = read_job_document(
        VersionDescription, data, schema=SCHEMA, limit=LIMIT, what="the description", invalid=InvalidDescription
    )
    if problem := next(_problems(description), None):
        raise InvalidDescription(problem)
    return description


def signature_document(signature: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
    """
    A signature with its parts as JSON and not as text.

    Raises ValueError for an invalid one, and for one that a description does not hold.
    """
    if signature is None:
        return None
    parts = {part: specs for part in _PARTS if (specs := signature_specs(signature, part)) is not None}
    if problem := next(_of_signature(parts), None):
        raise ValueError(problem)
    return parts


def _bounded(description: VersionDescription) -> VersionDescription:
    packages = {name: text[:_LONGEST] for name, text in description.packages.items() if 0 < len(name) <= _LONGEST}
    kept = dict(islice(packages.items(), MOST_PACKAGES))
    answers = description.answers[:MOST_ANSWERS]
    return replace(
        description,
        packages=kept,
        left_out_packages=description.left_out_packages + len(description.packages) - len(kept),
        evaluation=_bounded_metrics(description.evaluation),
        training=_bounded_metrics(description.training),
        answers=tuple(
            replace(each, name=each.name[:_LONGEST], answer=each.answer if _fits(each.answer) else None)
            for each in answers
        ),
        left_out_answers=description.left_out_answers + len(description.answers) - len(answers),
    )


def _shortened(description: VersionDescription) -> VersionDescription:
    """A description without the values of answers, else without half of the packages, else of the answers."""
    if any(each.answer is not None for each in description.answers):
        return replace(description, answers=tuple(replace(each, answer=None) for each in description.answers))
    if half := len(description.packages) // 2:
        return replace(
            description,
            packages=dict(islice(description.packages.items(), half)),
            left_out_packages=description.left_out_packages + len(description.packages) - half,
        )
    some = len(description.answers) // 2
    return replace(
        description,
        answers=description.answers[:some],
        left_out_answers=description.left_out_answers + len(description.answers) - some,
        signature=None,
        signature_left_out=description.signature_left_out or description.signature is not None,
    )


def _bounded_metrics(metric_set: MetricSet | None) -> MetricSet | None:
    """Metrics of bounded number; of more datasets than are kept, none is, as if they were unknown."""
    if metric_set is None:
        return None
    known = {name: value for name, value in sorted(metric_set.metrics.items()) if 0 < len(name) <= _LONGEST}
    data = metric_set.data if len(metric_set.data) <= _MOST_DATA else ()
    kept = {
        name: value if value is not None and math.isfinite(value) else None
        for name, value in islice(known.items(), MOST_METRICS)
    }
    left_out = metric_set.left_out + len(metric_set.metrics) - len(kept)
    return replace(metric_set, metrics=kept, data=tuple(text[:_LONGEST] for text in data), left_out=left_out)


def _fits(answer: Any) -> bool:
    """Whether an answer is small, and read back as it is."""
    if next(_unplain(answer), None) is not None:
        return False
    return len(json.dumps(answer)) <= LARGEST_ANSWER


def _unplain(value: Any, depth: int = _DEPTH) -> Iterator[str]:
    """Yield why a JSON value is not kept: it is too deep, or has a number that is not finite or that no float holds."""
    match value:
        case dict() | list() if not depth:
            yield "a value is nested too deeply"
        case dict():
            for inner in value.values():
                yield from _unplain(inner, depth - 1)
        case list():
            for inner in value:
                yield from _unplain(inner, depth - 1)
        case bool() | str() | None:
            pass
        case int() if abs(value) > 1 << 512:
            yield "a number is too large"
        case float() if not math.isfinite(value):
            yield "a number is not finite"


def _problems(description: VersionDescription) -> Iterator[str]:
    if not all(
        0 < len(text) <= _LONGEST and text.isprintable() for text in (description.model_name, description.version)
    ):
        yield "its name or its version is empty, too long, or has control characters"
    if description.state not in _STATES:
        yield "its state is unknown"
    if len(description.served_by) > _LONGEST or len(description.commit) > _LONGEST:
        yield "what served it or its commit is too long"
    digests = (description.model_sha256, description.lock_sha256, description.requirements_sha256)
    if not all(text == "" or _DIGEST.fullmatch(text) for text in digests):
        yield "a digest is not 64 hexadecimal digits"
    if description.head_of_pull_request and not _COMMIT.fullmatch(description.head_of_pull_request):
        yield "`head_of_pull_request` is not a commit"
    counts = (description.pull_request, description.left_out_packages, description.left_out_answers)
    if not all(0 <= count <= _LARGEST for count in counts):
        yield "the number of its pull request, or of what is left out, is negative or too large"
    if len(description.packages) > MOST_PACKAGES or any(
        not 0 < len(name) <= _LONGEST or len(text) > _LONGEST for name, text in description.packages.items()
    ):
        yield "it has too many packages, or one that is too long"
    yield from _of_signature(description.signature)
    for metric_set in (description.evaluation, description.training):
        yield from _of_metrics(metric_set)
    if len(description.answers) > MOST_ANSWERS:
        yield f"it has more than {MOST_ANSWERS} answers"
    for answer in description.answers:
        yield from _of_answer(answer)


def _of_metrics(metric_set: MetricSet | None) -> Iterator[str]:
    if metric_set is None:
        return
    if len(metric_set.metrics) > MOST_METRICS or len(metric_set.data) > _MOST_DATA:
        yield "it has too many metrics or datasets"
    if not 0 <= metric_set.left_out <= _LARGEST:
        yield "the number of metrics that are left out is negative or too large"
    texts = (*metric_set.metrics, *metric_set.data)
    if not all(0 < len(text) <= _LONGEST for text in texts) or len(metric_set.settings) > _LONGEST:
        yield "a name of a metric or a dataset, or the digest of its settings, is empty or too long"
    if not all(value is None or math.isfinite(value) for value in metric_set.metrics.values()):
        yield "a metric is not a finite number"


def _of_answer(answer: AnswerSummary) -> Iterator[str]:
    if not all(map(_DIGEST.fullmatch, (answer.request, answer.sha256))) or len(answer.name) > _LONGEST:
        yield "an answer has a digest that is none, or a name that is too long"
    if answer.status not in _ANSWERED:
        yield "the status of an answer is none of HTTP"
    yield from _unplain(answer.answer)
    if answer.answer is not None and not _fits(answer.answer):
        yield "an answer is too large"


def _of_signature(signature: Mapping[str, Any] | None) -> Iterator[str]:
    """Yield why a signature is not one that can be compared and shown."""
    if signature is None:
        return
    yield from _unplain(dict(signature))
    if signature.keys() - set(_PARTS) or len(json.dumps(signature)) > _LARGEST_SIGNATURE:
        yield "its signature has unknown parts, or is too large"
    try:
        for part in _PARTS:
            for spec in signature_specs(signature, part) or ():
                if not isinstance(spec["type"], str) or not isinstance(spec.get("name", ""), str | None):
                    yield "a column of its signature has a type or a name that is no text"
            described_columns(signature, part)
    except (TypeError, ValueError, AttributeError, RecursionError) as error:
        yield f"its signature is invalid: {error}"[:_LONGEST]
