"""Defines the description of a version that is handed from the job that made it to the one that compares it."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any

from ...command.step import Doc, OneRun
from ...payloads.messages.lazy_dataclass import lazy_dataclass
from ..model.answer_paths import parse_path, without_paths
from ..model.answers import answers_digest
from ..model.recorded_requests import RecordedRequest, compared_values

FILE = "description.json"
_OF_CHAMPION = "mlflow-uv-champion-"
_KEY = 16  # characters of a digest

DescriptionFile = Annotated[
    Path | None,
    OneRun(),
    Doc("File of the description of a version as JSON, which describe-version writes and compare-versions reads."),
]


@lazy_dataclass
class MetricSet:
    """
    Metrics with the digests of the data that they were measured on, which are empty where those are unknown.

    A metric is None if it is no finite number. `settings` is a digest of how they were measured, empty if unknown, and
    `left_out` the number of metrics for which a description has no room.
    """

    metrics: Mapping[str, float | None]
    data: tuple[str, ...] = ()
    settings: str = ""
    left_out: int = 0


@lazy_dataclass
class AnswerSummary:
    """
    The answer to one recorded request, without the values that the project does not compare.

    `request` is a digest of the request and `sha256` one of the answer. `answer` is None if it is too large to be
    handed over, if the project hands over no answers, and for a request that was refused.
    """

    name: str
    request: str
    status: int
    sha256: str
    answer: Any = None


@lazy_dataclass
class VersionDescription:
    """
    A registered version: its state, its digests, its signature, packages, metrics and answers.

    Equal `requirements_sha256` prove equal packages. The digests of model and lock are for whoever looks the version
    up, and are not compared: a training that is repeated gives another model, and not all of a lock is served.

    `state` is its tag, or `none`, and `served_by` what the smoke test started, empty before it. `packages` are versions
    by name. `pull_request` and `head_of_pull_request` are those of the workflow that described it, 0 and empty
    elsewhere. `evaluation` are the metrics of its newest evaluation and `training` those that its training logged.
    `signature_left_out`, `left_out_packages` and `left_out_answers` say for what a description has no room.
    """

    model_name: str
    version: str
    state: str
    served_by: str
    commit: str
    model_sha256: str
    lock_sha256: str
    requirements_sha256: str
    pull_request: int = 0
    head_of_pull_request: str = ""
    signature: Mapping[str, Any] | None = None
    signature_left_out: bool = False
    packages: Mapping[str, str]
    left_out_packages: int = 0
    evaluation: MetricSet | None = None
    training: MetricSet | None = None
    answers: tuple[AnswerSummary, ...] = ()
    left_out_answers: int = 0


def champion_artifact(model_name: str) -> str:
    """The name of the artifact with the description of the champion of a model, whose name may be any text."""
    return f"{_OF_CHAMPION}{answers_digest(model_name)[:_KEY]}"


def answer_summaries(
    recorded: tuple[RecordedRequest, ...], ignored: tuple[str, ...], *, values: bool
) -> Iterator[AnswerSummary]:
    """
    Yield the answers to recorded requests, without the values at the paths `ignored`; `values` is whether to keep them.

    Raises ValueError for an invalid path.
    """
    paths = tuple(map(parse_path, ignored))
    for request in recorded:
        compared = [without_paths(value, paths) for value in compared_values((request,))]
        answer = request.answer if not compared else compared if request.is_stream else compared[0]
        yield AnswerSummary(
            name=request.name,
            request=answers_digest([request.content_type, request.body]),
            status=int(request.status),
            sha256=answers_digest(answer),
            answer=answer if values and request.is_answered else None,
        )
