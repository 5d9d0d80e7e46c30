"""Registers the released model as a version, or finds the version that already has the same model."""

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

from ..command.errors import ChainBroken
from ..command.inputs import ModelNameInputs, RecordFile, RecordInputs, VersionNumber
from ..command.report import Finding, Report, Severity
from ..command.step import Doc, Step
from ..command.wording import Wording, option, step_call
from ..core.release.record import Record, VersionLink
from ..ops.lineage.audit import readable_record_of
from ..ops.lineage.publication import NewRecord, RecordReplaced, publish_registered
from ..ops.lineage.recompute import RecomputedRelease, verified_release
from ..ops.lineage.registry_client import RegistryClient
from ..payloads.messages.lazy_dataclass import lazy_dataclass
from ..payloads.messages.models import FindModels
from ..payloads.messages.registry import FindOrCreateVersion, RegisteredVersion
from ..payloads.messages.tags import (
    COMMIT,
    IMAGE,
    LOCK_DIGEST,
    MODEL_DIGEST,
    RECORD_DIGEST,
    RELEASE_KEY,
    REQUIREMENTS_DIGEST,
    STATE,
)
from ..tools.toolbox import Tools

READY_S = 300.0
_ATTEMPTS = 5


@lazy_dataclass
class Inputs(RecordInputs, ModelNameInputs):
    """Inputs of register: the record and the model name."""


@lazy_dataclass
class Outputs:
    """Outputs of register: the version."""

    record: RecordFile
    model_name: Annotated[str, Doc("Name of the registered model.")]
    version: VersionNumber
    version_uri: Annotated[str, Doc("Model URI of the version, models:/NAME/NUMBER.")]
    created: Annotated[
        bool, Doc("Whether a new version was created; false if an existing version of the same model was reused.")
    ]


def run(inputs: Inputs, tools: Tools) -> Report[Outputs]:
    """
    Find or create the version of the recorded model, wait until it is ready, and tag it. No alias moves.

    Raises ChainBroken, StoreUnreachable, BadInput.
    """
    with verified_release(inputs, tools) as release:
        record = release.record
        name = inputs.model_name or (release.project.name if release.project else record.model.name)
        settled = release.client.find_or_create_version(
            FindOrCreateVersion(
                name=name,
                model_id=record.model.model_id,
                model_sha256=record.model.sha256,
                tags=version_tags(record),
                description=_description(record),
                timeout_s=READY_S,
            )
        )
        version = VersionLink(name=name, version=settled.version, model_id=str(settled.model_id))
        if version.model_id != record.model.model_id:
            raise ChainBroken(
                "version",
                why=f"version {version.version} of {name} was made from {version.model_id}, which has the same files",
                fix=Wording(step_call("release"), ", which reuses that model"),
            )
        path = tools.records.path(inputs.record, inputs.project)
        publish_with_earlier_results(replace(record, version=version), path, release, tools)
        registrations = release.client.find_models(FindModels(model_id=version.model_id)).versions
    also = f" (also registered as {', '.join(settled.also)})" if settled.also else ""
    return Report(
        outputs=Outputs(
            record=path,
            model_name=name,
            version=version.version,
            version_uri=f"models:/{name}/{version.version}",
            created=settled.created,
        ),
        summary=f"{name} version {version.version} {'created' if settled.created else 'reused'}{also}",
        findings=tuple(
            _elsewhere(version, name, other_version)
            for name, other_version in _other_names(version, registrations).items()
        ),
    )


def publish_with_earlier_results(record: Record, path: Path, release: RecomputedRelease, tools: Tools) -> Record:
    """
    Publish the record of a registered version with the results that its published record has; return what it published.

    If another machine writes the record between reading and writing, its results are read again. Raises RecordReplaced
    after several attempts.
    """
    for _ in range(_ATTEMPTS - 1):
        with suppress(RecordReplaced):
            return _publish(record, path, release, tools)
    return _publish(record, path, release, tools)


def _publish(record: Record, path: Path, release: RecomputedRelease, tools: Tools) -> Record:
    assert record.version is not None  # noqa: S101  # of a registered version
    version = release.client.describe_version(record.version.name, record.version.version)
    merged = _with_earlier_results(record, version, release, tools)
    # A version that training registered itself has no tags of ours yet; a tested one keeps its state.
    state = {} if STATE in version.tags else {STATE: "registered"}
    new = NewRecord(record=merged, replaces=version.tags.get(RECORD_DIGEST))
    publish_registered(new, path, release.client, tools, tags={**version_tags(merged), **state})
    return merged


def _with_earlier_results(
    record: Record, version: RegisteredVersion, release: RecomputedRelease, tools: Tools
) -> Record:
    """
    Keep the results of verify and export-model, and who signed, that the published record of this version has.

    log-model begins a new record; results about another model, or other answers, are left out. A signature is about the
    image, too: who verifies it compares its statement with the record.
    """
    if None not in (record.verification, record.exports, record.signature):
        return record
    registry = RegistryClient(client=release.client, project=release.project, selection=record.selection, tools=tools)
    with TemporaryDirectory(prefix="mlflow-uv-record-") as folder:
        published = readable_record_of(registry, version, Path(folder) / "record.json")
    if published is None or published.sha256 != version.tags.get(RECORD_DIGEST):
        return record
    if published.model.sha256 == record.model.sha256:
        record = replace(
            record, exports=record.exports or published.exports, signature=record.signature or published.signature
        )
    return record if record.verification is not None else record.with_verification(published.verification)


def _other_names(version: VersionLink, registrations: Iterable[RegisteredVersion]) -> dict[str, str]:
    """Return the other names that the model is registered under, with the last version of each."""
    return {
        registration.name: registration.version for registration in registrations if registration.name != version.name
    }


def _elsewhere(version: VersionLink, name: str, number: str) -> Finding:
    return Finding(
        rule="registered-elsewhere",
        severity=Severity.WARNING,
        what=f"the model is also version {number} of {name}",
        why=f"training or another process registered it under that name too;"
        f" only version {version.version} of {version.name} is tested and gets an alias",
        fix=Wording(option("model-name", name), ", or remove `registered_model_name=` from the training"),
    )


def version_tags(record: Record) -> dict[str, str]:
    """Return the lineage tags of a version, as far as they are known (see docs/identity.md)."""
    tags = {
        RELEASE_KEY: record.release_key,
        LOCK_DIGEST: record.lock.sha256,
        REQUIREMENTS_DIGEST: record.requirements.sha256,
        MODEL_DIGEST: record.model.sha256,
        COMMIT: record.commit.sha,
    }
    if record.image is not None:
        tags[IMAGE] = record.image.id
    return tags


def _description(record: Record) -> str:
    return (
        f"Trained from {record.commit.description} (project `{record.commit.project}`) under uv.lock"
        f" {record.lock.sha256[:12]}."
    )


STEP = Step(
    name="register",
    summary="Register the model as a new version, or reuse the existing version of the same model.",
    inputs=Inputs,
    outputs=Outputs,
    run=run,
    needs_project=False,
)
