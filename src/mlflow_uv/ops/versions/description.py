"""Describes a registered version for the comparison in a pull request, from its record, its files and its runs."""

from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from ...command.errors import BadInput, ToolFailed
from ...core.card.description import cleaned
from ...core.model.model_difference import packages_of
from ...core.model.model_files import ANSWERS, CASES, REQUESTS, REQUIREMENTS, RESPONSES
from ...core.promotion.gates import restore_infinity
from ...core.release.record import Record
from ...core.version_difference.description import AnswerSummary, MetricSet, VersionDescription, answer_summaries
from ...core.version_difference.document import signature_document
from ...payloads.messages.registry import RegisteredVersion
from ...payloads.messages.tags import EVALUATION_SETTINGS, LOCK_DIGEST, MODEL_DIGEST, REQUIREMENTS_DIGEST, STATE
from ...tools.github.event import PullRequestEvent, workflow_event
from ..lineage.audit import readable_record_of
from ..lineage.registry_client import RegistryClient
from ..model.recorded_files import recorded_in

_FILES = ("MLmodel", REQUIREMENTS, CASES, ANSWERS, REQUESTS, RESPONSES)


def describe_for_comparison(
    registry: RegistryClient, *, name: str, version: str, with_answers: bool
) -> VersionDescription:
    """
    Describe a version; `with_answers` is whether recorded answers are kept, or only their digests.

    Raises BadInput for files that cannot be read, StoreUnreachable, ToolFailed.
    """
    described = registry.client.describe_version(name, version)
    event = workflow_event(registry.tools.host.variables)
    with TemporaryDirectory(prefix="mlflow-uv-describe-") as scratch:
        folder = Path(scratch) / "model"
        registry.client.download_version(described, folder, files=_FILES)
        record = readable_record_of(registry, described, Path(scratch) / "record.json")
        signature, left_out = _signature(registry, folder)
        answers = _answers(folder, record, with_answers=with_answers)
        file = folder / REQUIREMENTS
        packages = packages_of(file.read_text(encoding="utf-8")) if file.is_file() else {}
    tags = described.tags
    description = VersionDescription(
        model_name=name,
        version=version,
        state=tags.get(STATE, "none"),
        served_by=(record.answers.served_by or "") if record and record.answers else "",
        commit=record.commit.sha if record else "",
        model_sha256=tags.get(MODEL_DIGEST, ""),
        lock_sha256=tags.get(LOCK_DIGEST, ""),
        requirements_sha256=tags.get(REQUIREMENTS_DIGEST, ""),
        pull_request=event.number if isinstance(event, PullRequestEvent) else 0,
        head_of_pull_request=event.head if isinstance(event, PullRequestEvent) else "",
        signature=signature,
        signature_left_out=left_out,
        packages=packages,
        evaluation=_evaluation(registry, described, record),
        training=_training(registry, described.run_id),
        answers=answers,
    )
    return cleaned(description, registry.tools.secrets)  # type: ignore[no-any-return]  # of its type


def _signature(registry: RegistryClient, folder: Path) -> tuple[Mapping[str, Any] | None, bool]:
    """The signature, and whether a description cannot hold it."""
    signature = registry.client.describe_signature(folder).signature
    try:
        return signature_document(signature), False
    except ValueError:
        return None, True


def _answers(folder: Path, record: Record | None, *, with_answers: bool) -> tuple[AnswerSummary, ...]:
    """The recorded answers; none of a model that this program did not log."""
    if not (folder / CASES).is_file():
        return ()
    link = record.answers if record else None
    try:
        recorded = recorded_in(folder, link)
        return tuple(answer_summaries(recorded, link.ignored if link else (), values=with_answers))
    except ValueError as error:
        raise BadInput(what="the recorded answers of the version cannot be read", why=str(error)) from error


def _evaluation(registry: RegistryClient, described: RegisteredVersion, record: Record | None) -> MetricSet | None:
    """The metrics of the newest evaluation of the version, none if it was one of other files."""
    model = described.model_id or f"models:/{described.name}/{described.version}"
    found = registry.client.find_evaluation((model,), {})
    digest = record.model.sha256 if record else described.tags.get(MODEL_DIGEST)
    if found.evaluation is None or found.models[model].model_sha256 != digest:
        return None
    return MetricSet(
        metrics={name: restore_infinity(value) for name, value in found.models[model].metrics.items()},
        data=(found.data_sha256,) if found.data_sha256 else (),
        settings=found.tags.get(EVALUATION_SETTINGS, ""),
    )


def _training(registry: RegistryClient, run_id: str | None) -> MetricSet | None:
    """The metrics that training logged, with the digests of its datasets; None if its run was deleted."""
    try:
        run = registry.client.describe_run(run_id) if run_id else None
    except ToolFailed:
        return None
    if run is None:
        return None
    data = sorted({f"{dataset.context} {dataset.digest}".strip() for dataset in run.datasets if dataset.digest})
    metrics = {name: restore_infinity(value) for name, value in run.metrics.items()}
    return MetricSet(metrics=metrics, data=tuple(data))
