"""
Publishes a release record: its file, and the digest of it as a tag on the version or the model that it is about.

The file and the tag cannot change at the same moment. So the new record is staged in our state folder, then tagged,
then written to its file. A process that is killed in between leaves a staged record, and the next one that reads the
file takes it if the registry has its digest (`settled`).
"""

import re
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory

from ...command.errors import ChainBroken, ToolFailed
from ...command.wording import step_call
from ...core.release.digests import sha256
from ...core.release.record import Record
from ...payloads.messages.lazy_dataclass import lazy_dataclass
from ...payloads.messages.registry import SetTags, TagRecord
from ...payloads.messages.tags import RECORD_DIGEST
from ...tools.mlflow.store_client import StoreClient
from ...tools.toolbox import Tools


class RecordReplaced(ChainBroken):
    """Another process wrote the record of a version after the caller had read it."""

    def __init__(self) -> None:
        why = "a step on another machine wrote the record of this model after this step had read it"
        super().__init__("record", why=why, fix=step_call("release"))


def publish_logged(record: Record, path: Path, client: StoreClient, tools: Tools) -> None:
    """
    Tag the record's model with the digest of a record without a version, and write its file. Raises StoreUnreachable.

    A logged model has no lease, so the last writer counts: `register` refuses the record of any other.
    """
    tools.records.stage(path, record)
    client.set_tags(SetTags(tags={RECORD_DIGEST: record.sha256}, model_id=record.model.model_id))
    tools.records.take_staged(path, record)


@lazy_dataclass
class RecordChange:
    """A record as a step read it, and as the step changed it."""

    before: Record
    after: Record


def publish_change(
    change: RecordChange, path: Path, client: StoreClient, tools: Tools, *, tags: Mapping[str, str] | None = None
) -> None:
    """
    Publish a changed record, if its version, or its model where it has none yet, still has the one that the step read.

    Raises RecordReplaced if it has another one by now, and then changes nothing; StoreUnreachable.
    """
    if change.after.version is None:
        if tagged_digest(change.before, client) != change.before.sha256:
            raise RecordReplaced
        publish_logged(change.after, path, client, tools)
        return
    new = NewRecord(record=change.after, replaces=change.before.sha256)
    publish_registered(new, path, client, tools, tags=tags)


@lazy_dataclass
class NewRecord:
    """A record of a version, and the digest of the one that the version has; None for a version without a record."""

    record: Record
    replaces: str | None


def publish_registered(
    new: NewRecord, path: Path, client: StoreClient, tools: Tools, *, tags: Mapping[str, str] | None = None
) -> None:
    """
    Publish a record of a version, if the version still has the one that it replaces.

    `tags` are set together with the digest. The model keeps the digest of the record that log-model left: a register
    that is interrupted can begin again there. Raises RecordReplaced if the version has another record by now, and then
    changes nothing; StoreUnreachable.
    """
    record = new.record
    assert record.version is not None  # noqa: S101  # of a registered version
    tools.records.stage(path, record)
    digest = client.tag_record(
        TagRecord(
            name=record.version.name,
            version=record.version.version,
            tags={**(tags or {}), RECORD_DIGEST: record.sha256},
            replaces=new.replaces,
        )
    )
    if digest != record.sha256:
        tools.records.drop_staged(path)
        raise RecordReplaced
    tools.records.take_staged(path, record)


def publish_again(change: RecordChange, path: Path, client: StoreClient, tools: Tools) -> None:
    """
    Publish a changed record of a version that is released already, in its run, too.

    Until the run has it under its usual path, `audit.record_of` finds it by its digest: it is logged under that first.
    Raises RecordReplaced, StoreUnreachable, ToolFailed.
    """
    record = change.after
    assert record.version is not None  # noqa: S101  # of a registered version
    version = record.version
    artifact = record_artifact(version.model_id, version.name, version.version)
    with TemporaryDirectory(prefix="mlflow-uv-record-") as scratch:
        file = Path(scratch) / "record.json"
        tools.records.save(file, record)
        client.log_record(record.model.run_id, file=file, path=publication_artifact(artifact, record.sha256))
        publish_change(change, path, client, tools)
        client.log_record(record.model.run_id, file=file, path=artifact)


def record_artifact(model_id: str, name: str, version: str) -> str:
    """Return the artifact path, in the model's run, of the record of one version."""
    model, named = (re.sub(r"[^A-Za-z0-9._-]+", "-", text) for text in (model_id, name))
    return f"mlflow-uv/{model}/{named}-{sha256(name.encode())[:8]}/{version}/record.json"


def report_artifact(model_id: str, name: str, version: str) -> str:
    """Return the artifact path of the report on a version, beside its record."""
    return str(PurePosixPath(record_artifact(model_id, name, version)).parent / "report.html")


def card_artifact(model_id: str, name: str, version: str, file: str) -> str:
    """Return the artifact path of the ML-BOM or the model card of a version, beside its record."""
    return str(PurePosixPath(record_artifact(model_id, name, version)).parent / "model-card" / file)


def publication_artifact(artifact: str, digest: str) -> str:
    """Return the artifact path of a record with this digest, while it is published."""
    return str(PurePosixPath(artifact).parent / "published" / digest[:16] / "record.json")


def settled(record: Record, path: Path, client: StoreClient, tools: Tools) -> Record:
    """
    The record that counts: a staged one of the same model if the registry has its digest, else the one of the file.

    Raises StoreUnreachable where nobody can tell.
    """
    staged = tools.records.staged(path)
    if staged is None:
        return record
    if staged.model.model_id == record.model.model_id and _is_tagged(staged, client):
        tools.records.take_staged(path, staged)
        return staged
    tools.records.drop_staged(path)
    return record


def _is_tagged(record: Record, client: StoreClient) -> bool:
    try:
        return tagged_digest(record, client) == record.sha256
    except ToolFailed:  # the version was deleted meanwhile
        return False


def tagged_digest(record: Record, client: StoreClient) -> str | None:
    """The digest of a record that the registry has of its version, or of its model; None where there is no tag."""
    if record.version is None:
        return client.describe_model(record.model.model_id).tags.get(RECORD_DIGEST)
    return client.describe_version(record.version.name, record.version.version).tags.get(RECORD_DIGEST)
