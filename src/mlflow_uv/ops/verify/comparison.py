"""Compares the answers and the streams of a way of serving with those of training."""

from collections.abc import Sequence
from dataclasses import field
from pathlib import Path
from typing import Any

from ...command.wording import Parameter, Part, StepCall, Wording
from ...core.model.answer_paths import without_paths
from ...core.model.answer_wording import difference_fix, format_differences
from ...core.model.answers import AnswerDifference, differences
from ...core.model.recorded_requests import RecordedRequest
from ...core.model.streams import stream_differences
from ...core.release.record import Record
from ...core.security.documents import parse_json
from ...core.security.masking import mask
from ...core.verify.results import Verdict, WayResult
from ...payloads.messages.lazy_dataclass import lazy_dataclass
from ...payloads.messages.models import AnswerRequests, ModelResponse
from ...tools.mlflow.store_client import StoreClient
from ..image.isolation import EvaluatedVersion
from ..image.serving_check import Expected
from ..lineage.registry_client import RegistryClient
from .environments import ModelEnvironments


@lazy_dataclass
class Verification:
    """
    A version, its files and environments, and the recorded requests with the answers of training.

    `secrets` are those of the caller, which are masked in every reason. `record` is the release record of the version.
    """

    registry: RegistryClient
    subject: EvaluatedVersion
    environments: ModelEnvironments
    expected: Expected
    scratch: Path
    spark_master: str
    secrets: tuple[str, ...] = field(repr=False)
    record: Record | None = None

    @property
    def requests(self) -> tuple[RecordedRequest, ...]:
        """The requests for whole predictions."""
        return tuple(recorded for recorded in self.expected.requests if not recorded.is_stream)

    @property
    def streams(self) -> tuple[RecordedRequest, ...]:
        """The requests for streams, whose answers are lists of chunks."""
        return tuple(recorded for recorded in self.expected.requests if recorded.is_stream)

    @property
    def contents(self) -> tuple[Any, ...]:
        """The JSON of the bodies of the requests for whole predictions."""
        return tuple(parse_json(recorded.body) for recorded in self.requests)

    @property
    def answers(self) -> tuple[Any, ...]:
        """The answers of training, in the order of `contents`."""
        return tuple(recorded.answer for recorded in self.requests)


def compared(
    way: str, answers: tuple[Any, ...], answers_of_training: Sequence[Any], verification: Verification
) -> WayResult:
    """Compare answers with those of training to the same requests."""
    expected = verification.expected
    different_requests: list[tuple[int, tuple[AnswerDifference, ...]]] = []
    for number, (answer, recorded) in enumerate(zip(answers, answers_of_training, strict=True), start=1):
        pair = without_paths(recorded, expected.ignored), without_paths(answer, expected.ignored)
        if answer_differences := tuple(differences(*pair, tolerance=expected.tolerance)):
            different_requests.append((number, answer_differences))
    if not different_requests:
        return WayResult(way=way, verdict=Verdict.EQUAL, requests=len(answers))
    why = "; ".join(
        f"request {number}: {format_differences(differing)}" for number, differing in different_requests[:3]
    )
    return WayResult(
        way=way,
        verdict=Verdict.DIFFERENT,
        requests=len(answers),
        why=masked(why, verification),
        fix=own_fix(difference_fix(different_requests[0][1])),
    )


def load_and_compare(way: str, client: StoreClient, model: Path, verification: Verification) -> WayResult:
    """Load a model with MLflow, and call predict with the code of MLflow's scoring server, and predict_stream."""
    expected = verification.expected
    request = AnswerRequests(
        model=str(model),
        requests=verification.contents,
        streams=tuple(stream.body for stream in verification.streams),
    )
    answers = client.answer(request, expected.serve_env, timeout_s=expected.deadline_s)
    result = compared(way, answers.answers, verification.answers, verification)
    return result if result.broken else streamed(way, answers.bodies.streams, verification)


def streamed(way: str, responses: Sequence[ModelResponse | None], verification: Verification) -> WayResult:
    """Compare streams with those of training, chunk by chunk."""
    expected = verification.expected
    for recorded, response in zip(verification.streams, responses, strict=True):
        if response is None or response.reason:
            why = response.reason if response else "the model has no predict_stream"
            why = masked(f"{recorded.name}: {why}", verification)
            return WayResult(way=way, verdict=Verdict.FAILED, requests=len(expected.requests), why=why)
        stream_differing = tuple(
            stream_differences(recorded.answer, response.answer, expected.ignored, tolerance=expected.tolerance)
        )
        if stream_differing:
            why = masked(f"{recorded.name}: {format_differences(stream_differing)}", verification)
            fix = own_fix(difference_fix(stream_differing))
            return WayResult(way=way, verdict=Verdict.DIFFERENT, requests=len(expected.requests), why=why, fix=fix)
    return WayResult(way=way, verdict=Verdict.EQUAL, requests=len(expected.requests))


def own_fix(fix: str) -> str:
    """
    The fix of a smoke test for this step, empty if it names an input that this step has no counterpart of.

    Tolerance and ignored paths are recorded by log-model, and `time-limit` is the deadline of a server.
    """
    parts: list[Part] = []
    for part in fix.parts if isinstance(fix, Wording) else (fix,):
        match part:
            case Parameter(name="tolerance" | "ignore-answers"):
                parts.append(StepCall("log-model", (part,)))
            case Parameter(name="deadline", value=value):
                parts.append(Parameter("time-limit", value))
            case Parameter(name="answer-timeout" | "serve-network"):
                return ""
            case _:
                parts.append(part)
    return Wording(*parts)


def masked(text: str, verification: Verification) -> str:
    """Mask the variables of the model, and the secrets of the caller."""
    return mask(verification.expected.serve_env.masked(text), verification.secrets)
