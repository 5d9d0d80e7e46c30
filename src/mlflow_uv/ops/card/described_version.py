"""Collects the description of a registered version from its record, its files, its run and its newest evaluation."""

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ...command.errors import BadInput, BadProject, ChainBroken, StepError, ToolFailed
from ...core.card.description import (
    DescribedDataset,
    DescribedImage,
    DescribedMetric,
    ModelDescription,
    cleaned,
    safe_parameters,
)
from ...core.card.statements import NAME, CardStatements, read_statements
from ...core.model import model_files
from ...core.model.licences import spdx_expression
from ...core.model.signature import described_columns
from ...core.promotion.gates import restore_infinity
from ...core.release.record import Record
from ...core.security.documents import parse_json
from ...payloads.messages.evaluation import FoundEvaluation
from ...payloads.messages.runs import RunDescription
from ...payloads.messages.tags import EVALUATION_DATA, EVALUATION_MODEL_TYPE
from ...tools.project.files import Project, read_project, table_of
from ...tools.project.policy_table import policy_table
from ..image.sbom import locked_sbom
from ..lineage.audit import Audited
from ..lineage.registry_client import RegistryClient

_EVALUATION = "evaluation"


def describe_audited(audit: Audited, registry: RegistryClient, *, champion: str) -> ModelDescription:
    """
    Describe an audited version; `champion` is the alias of the version that its evaluation is compared with.

    Nothing in it depends on where or when it is collected, except on newer evaluations. Raises ChainBroken without a
    record, BadInput for statements or a signature that cannot be read, StoreUnreachable, ToolFailed.
    """
    record = audit.record
    if record is None:
        raise ChainBroken("record", why=f"{audit.name} version {audit.version} has no release record")
    project = _project_in(audit.model)
    signature = registry.client.describe_signature(audit.model)
    try:
        inputs, outputs, params = (
            described_columns(signature.signature, part) for part in ("inputs", "outputs", "params")
        )
    except ValueError as error:
        raise BadInput(what="the model's signature cannot be read", why=str(error)) from error
    statements = read_statements(policy_table(project, NAME, where=audit.model)) if project else CardStatements()
    facts = table_of(project.manifest, "project") if project else {}
    license_text, is_spdx = _license(statements, facts)
    run = _run(registry, audit.description.run_id)
    evaluation, other = _evaluation(registry, audit, champion)
    described = ModelDescription(
        name=audit.name,
        version=audit.version,
        created=datetime.fromtimestamp(audit.description.created // 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        model_id=record.model.model_id,
        run_id=record.model.run_id,
        sha256=record.model.sha256,
        commit=f"{record.commit.sha}{' with uncommitted changes' if record.commit.changed else ''}",
        lock_sha256=record.lock.sha256,
        requirements_sha256=record.requirements.sha256,
        python=record.model.python,
        mlflow=record.model.mlflow,
        uv=record.lock.uv,
        description=statements.description or _text(facts.get("description")),
        license=license_text,
        license_is_spdx=is_spdx,
        producers=(statements.producer,) if statements.producer else tuple(_authors(facts)),
        pages=tuple(_pages(facts)),
        flavors=tuple(sorted(signature.flavors.items())),
        task=evaluation.tags.get(EVALUATION_MODEL_TYPE, ""),
        inputs=inputs,
        outputs=outputs,
        params=params,
        parameters=safe_parameters(run.params if run else {}),
        datasets=(*_training_data(run, statements), *_evaluation_data(evaluation)),
        metrics=(*_metrics(evaluation, _measured_as(audit), _EVALUATION), *_of_server(record)),
        champion_metrics=_metrics(evaluation, *other) if other else (),
        image=_image(record),
        tested=(record.answers.served_by or "") if record.answers else "",
        statements=statements,
        packages=_packages(audit.model, record, registry),
    )
    return cleaned(described, registry.tools.secrets)  # type: ignore[no-any-return]  # of its type


def _project_in(model: Path) -> Project | None:
    """The manifest and the lock that are stored in the model; None for a model without them."""
    try:
        return read_project((model / model_files.MANIFEST).parent)
    except BadProject:
        return None


def _packages(model: Path, record: Record, registry: RegistryClient) -> Mapping[str, Any]:
    """The packages of the lock as CycloneDX, empty without a lock. Raises ToolFailed if uv cannot export them."""
    try:
        sbom = locked_sbom(model, record, registry.tools)
        packages: Mapping[str, Any] = parse_json(sbom) if sbom else {}
    except (StepError, ValueError, LookupError) as error:
        raise ToolFailed(what="the packages of the lock cannot be listed", why=str(error)) from error
    return packages


def _license(statements: CardStatements, facts: Mapping[str, Any]) -> tuple[str, bool]:
    """The licence of the model, and whether it is an SPDX expression; empty if nobody says it."""
    declared = facts.get("license")
    text = statements.license or _text(declared.get("text") if isinstance(declared, Mapping) else declared)
    spdx = spdx_expression(text)
    return spdx or text, bool(spdx)


def _authors(facts: Mapping[str, Any]) -> list[str]:
    authors = facts.get("authors")
    people = authors if isinstance(authors, list) else []
    return [author["name"] for author in people if isinstance(author, Mapping) and isinstance(author.get("name"), str)]


def _pages(facts: Mapping[str, Any]) -> list[tuple[str, str]]:
    urls = facts.get("urls")
    pages = urls if isinstance(urls, Mapping) else {}
    return sorted(
        (name, address)
        for name, address in pages.items()
        if isinstance(address, str) and address.startswith(("https://", "http://"))
    )


def _text(value: object) -> str:
    return value.strip() if isinstance(value, str) else ""


def _run(registry: RegistryClient, run_id: str | None) -> RunDescription | None:
    """The run of the training, None if it was deleted."""
    try:
        return registry.client.describe_run(run_id) if run_id else None
    except ToolFailed:
        return None


def _training_data(run: RunDescription | None, statements: CardStatements) -> list[DescribedDataset]:
    logged = [
        DescribedDataset(
            role=dataset.context or "training",
            name=dataset.name or dataset.source_type or "dataset",
            digest=dataset.digest,
            algorithm="MLflow" if dataset.digest else "",
            source=f"{dataset.source_type} {dataset.source}".strip(),
        )
        for dataset in (run.datasets if run else ())
    ]
    return [*logged, *(DescribedDataset(role="training", name=name) for name in statements.datasets)]


def _evaluation_data(evaluation: FoundEvaluation) -> list[DescribedDataset]:
    if evaluation.evaluation is None:
        return []
    name = evaluation.tags.get(EVALUATION_DATA, "data of the evaluation")
    digest = evaluation.data_sha256 or ""
    return [DescribedDataset(role=_EVALUATION, name=name, digest=digest, algorithm="SHA-256" if digest else "")]


def _evaluation(
    registry: RegistryClient, audit: Audited, champion: str
) -> tuple[FoundEvaluation, tuple[str, str] | None]:
    """
    The newest evaluation of the version together with the champion, else of the version alone.

    Also the id of the champion in it and how it is called, None where it was not measured.
    """
    mine = _measured_as(audit)
    number = registry.client.describe_name(audit.name).aliases.get(champion)
    if number is not None and number != audit.version:
        theirs = registry.client.describe_version(audit.name, number)
        other = theirs.model_id or f"models:/{audit.name}/{number}"
        evaluation = registry.client.find_evaluation((mine, other), {})
        if evaluation.evaluation is not None and _is_about(evaluation, mine, audit):
            return evaluation, (other, f"{_EVALUATION}, of the champion, version {number}")
    evaluation = registry.client.find_evaluation((mine,), {})
    return (
        evaluation if evaluation.evaluation is not None and _is_about(evaluation, mine, audit) else FoundEvaluation()
    ), None


def _measured_as(audit: Audited) -> str:
    """How the runs of an evaluation call the model."""
    return audit.description.model_id or f"models:/{audit.name}/{audit.version}"


def _is_about(found: FoundEvaluation, model: str, audit: Audited) -> bool:
    """Whether the files of the model are those that were evaluated."""
    return audit.record is not None and found.models[model].model_sha256 == audit.record.model.sha256


def _metrics(evaluation: FoundEvaluation, model: str, origin: str) -> tuple[DescribedMetric, ...]:
    measured = evaluation.models.get(model)
    return tuple(
        DescribedMetric(name=name, value=restore_infinity(value), origin=origin)
        for name, value in sorted((measured.metrics if measured else {}).items())
    )


def _of_server(record: Record) -> list[DescribedMetric]:
    return [DescribedMetric(name=name, value=value, origin="tested server") for name, value in sorted(record.figures)]


def _image(record: Record) -> DescribedImage | None:
    image = record.image
    if image is None or image.kind != "image":
        return None
    return DescribedImage(
        name=image.tag, digest=image.digest, id=image.id, base=image.base, base_digest=image.base_digest
    )
