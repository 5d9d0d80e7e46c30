"""Logs a converted model in the store, registers it, and links it with the version that it was made from."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from ...command.errors import StepError
from ...command.report import Finding, Severity
from ...core.release.digests import canonical, sha256, tree_digest
from ...core.release.record import ExportedModel, ExportsLink, Record
from ...payloads.messages.conversion import FindExport
from ...payloads.messages.lazy_dataclass import lazy_dataclass
from ...payloads.messages.models import FindModels
from ...payloads.messages.registry import FindOrCreateVersion, SetTags
from ...payloads.messages.tags import ATTEMPT, EXPORT_FORMAT, EXPORT_KEY, EXPORT_PREFIX, EXPORTED_FROM, MODEL_DIGEST
from ...tools.system.content import digests_in
from ..image.isolation import EvaluatedVersion
from ..lineage.open_attempts import close_abandoned, give_up_attempt
from ..lineage.record_update import update_published
from ..lineage.registry_client import RegistryClient

READY_S = 300.0


@lazy_dataclass
class ModelExport:
    """A folder with MLflow's model in a format, the digest of the converted file, and the name to register it under."""

    folder: Path
    format: str
    file_sha256: str
    name: str | None


@lazy_dataclass
class LoggedExport:
    """An exported model, and the model of this run in place of which it counts: another run logged it first."""

    exported: ExportedModel
    instead_of: str = ""


def log_export(export: ModelExport, subject: EvaluatedVersion, registry: RegistryClient, scratch: Path) -> LoggedExport:
    """
    Log a converted model, or find it from another run, and register it if it has a name.

    What killed attempts on this machine left open is closed first; one that runs at the same time is left alone. Of
    several runs at once, on whatever machines, one model counts (FindExport). Raises StoreUnreachable, ToolFailed.
    """
    close_abandoned(registry.client, registry.tools)
    key = sha256(canonical([subject.uri, subject.sha256, export.format, export.file_sha256]))
    tag = f"{EXPORT_PREFIX}{export.format}"
    model_id = _logged(key, registry)
    is_new = model_id is None
    if model_id is None:
        model_id = _log_attempt(key, export, subject, registry, scratch)
    counting = registry.client.find_export(
        FindExport(name=subject.name, version=subject.version, key=key, tag=tag, model_id=model_id, is_new=is_new)
    )
    name, version = export.name or counting.name, ""
    if name:
        settled = registry.client.find_or_create_version(
            FindOrCreateVersion(
                name=name,
                model_id=counting.model_id,
                model_sha256=counting.sha256,
                tags=_tags(key, export, subject) | {MODEL_DIGEST: counting.sha256},
                description=f"Converted to {export.format} from {subject.uri}.",
                timeout_s=READY_S,
            )
        )
        version = settled.version
    exported = ExportedModel(
        format=export.format,
        model_id=counting.model_id,
        sha256=counting.sha256,
        file_sha256=export.file_sha256,
        original=subject.sha256,
        name=name,
        version=version,
    )
    registry.client.set_tags(SetTags(tags={tag: exported.uri}, version=(subject.name, subject.version)))
    return LoggedExport(exported=exported, instead_of=model_id if is_new and model_id != counting.model_id else "")


def _logged(key: str, registry: RegistryClient) -> str | None:
    models = registry.client.find_models(FindModels(tag=(EXPORT_KEY, key))).models
    complete = [
        model for model in models
        if model.status == "READY" and model.tags.get(EXPORT_KEY) == key and MODEL_DIGEST in model.tags
    ]  # fmt: skip
    return min(complete, key=lambda model: (model.created, model.model_id)).model_id if complete else None


def _log_attempt(
    key: str, export: ModelExport, subject: EvaluatedVersion, registry: RegistryClient, scratch: Path
) -> str:
    with registry.tools.attempts.start(registry.client.store.uri) as attempt:
        tags = {**_tags(key, export, subject), ATTEMPT: attempt.id}
        try:
            logged = _log(tags, export, subject, registry, scratch)
        except BaseException as error:
            status = "FAILED" if isinstance(error, Exception) else "KILLED"
            give_up_attempt(attempt, registry.client, status, registry.tools)
            raise
        attempt.mark_closed()
        return logged


def _log(
    tags: Mapping[str, str], export: ModelExport, subject: EvaluatedVersion, registry: RegistryClient, scratch: Path
) -> str:
    client = registry.client
    name = f"{subject.name}-{export.format}"
    run_id = client.create_run(
        subject.name, tags=tags, run_name=f"export {subject.name} v{subject.version}", beside=subject.run_id
    ).run_id
    model_id = client.log_folder(export.folder, name=name, run_id=run_id)
    stored = scratch / "stored"
    client.download_model(model_id, stored)
    digest = tree_digest(digests_in(stored))
    client.set_tags(SetTags(tags={**tags, MODEL_DIGEST: digest}, model_id=model_id))
    client.end_run(run_id, status="FINISHED")
    return model_id


def _tags(key: str, export: ModelExport, subject: EvaluatedVersion) -> dict[str, str]:
    return {EXPORT_KEY: key, EXPORT_FORMAT: export.format, EXPORTED_FROM: subject.uri}


def record_export(
    exported: ExportedModel, subject: EvaluatedVersion, project: Path, registry: RegistryClient
) -> Iterator[Finding]:
    """Add an exported model to the release record of the version; yield a warning if that is not possible."""

    def extended(record: Record) -> Record:
        earlier = record.exports.models if record.exports else ()
        if exported in earlier:
            return record
        others = tuple(model for model in earlier if model.format != exported.format)
        return replace(record, exports=ExportsLink(models=(*others, exported)))

    try:
        files = (registry.tools.records.path(None, project),)
        update_published((subject.name, subject.version), extended, files, registry)
    except StepError as error:
        yield Finding(
            rule="export-not-recorded",
            severity=Severity.WARNING,
            what="the exported model is not in the release record of the version",
            why=f"{error.what}: {error.why}" if error.why else error.what,
        )
