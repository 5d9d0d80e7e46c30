"""
Publishes a release record: its file, and the digest of it as a tag on the version or the model that it is about.

The file and the tag cannot change at the same moment. So the new record is staged in our state folder, then tagged,
then written to its file. A process that is killed in between leaves a staged record, and the next one that reads the
file takes it if the registry has its digest (`settled`).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ...command.errors import ToolFailed
from ...core.release.record import Record
from ...tools.mlflow.mlflow import Store
from ...tools.toolbox import Tools

RECORD_TAG = "mlflow-uv.record-sha256"


@dataclass(frozen=True, kw_only=True, slots=True)
class StoreAccess:
    """A store, and the interpreter that talks to it."""

    store: Store
    python: Path


def publish(
    record: Record, path: Path, access: StoreAccess, tools: Tools, *, tags: Mapping[str, str] | None = None
) -> None:
    """
    Tag the record's version, or the model where it has none yet, with its digest, and write its file.

    `tags` are set together with the digest. The model keeps the digest of the record that log-model left: a register
    that is interrupted can begin again there. Raises StoreUnreachable.
    """
    tools.records.stage(path, record)
    tools.mlflow.ask(
        access.python, access.store, "tag", tags={**(tags or {}), RECORD_TAG: record.sha256}, **_target(record)
    )
    tools.records.take_staged(path, record)


def settled(record: Record, path: Path, access: StoreAccess, tools: Tools) -> Record:
    """
    The record that counts: a staged one of the same model if the registry has its digest, else the one of the file.

    Raises StoreUnreachable where nobody can tell.
    """
    staged = tools.records.staged(path)
    if staged is None:
        return record
    if staged.model.model_id == record.model.model_id and _is_tagged(staged, access, tools):
        tools.records.take_staged(path, staged)
        return staged
    tools.records.drop_staged(path)
    return record


def _is_tagged(record: Record, access: StoreAccess, tools: Tools) -> bool:
    try:
        return tagged_digest(record, access, tools) == record.sha256
    except ToolFailed:  # the version was deleted meanwhile
        return False


def tagged_digest(record: Record, access: StoreAccess, tools: Tools) -> str | None:
    """The digest of a record that the registry has of its version, or of its model; None where there is no tag."""
    if record.version is None:
        answer = tools.mlflow.ask(access.python, access.store, "describe-model", model_id=record.model.model_id)
    else:
        version = record.version
        answer = tools.mlflow.ask(
            access.python, access.store, "describe-version", name=version.name, version=version.version
        )
    digest = answer["tags"].get(RECORD_TAG)
    return None if digest is None else str(digest)


def _target(record: Record) -> dict[str, object]:
    if record.version is None:
        return {"model_id": record.model.model_id}
    return {"version": [record.version.name, record.version.version]}
