"""Recomputes the links of the models that were exported from a version, from the store."""

from collections.abc import Iterator, Mapping
from pathlib import Path

from ...command.errors import StepError
from ...command.wording import step_call
from ...core.release.chain import LinkCheck, LinkState, compare_link
from ...core.release.digests import tree_digest
from ...core.release.record import ExportedModel, Record
from ...payloads.messages.tags import EXPORT_PREFIX
from ...tools.mlflow.errors import NotInStore
from ...tools.system.content import digests_in
from .registry_client import RegistryClient


def from_exports(
    record: Record, tags: Mapping[str, str], registry: RegistryClient, scratch: Path
) -> Iterator[LinkCheck]:
    """Compute each exported model of a record again, from the store."""
    for exported in record.exports.models if record.exports else ():
        yield from _export_holds(exported, record, tags, registry, scratch)


def _export_holds(
    exported: ExportedModel, record: Record, tags: Mapping[str, str], registry: RegistryClient, scratch: Path
) -> Iterator[LinkCheck]:
    source = f"the exported model {exported.uri}"
    yield compare_link("exports", recorded=exported.original, observed=record.model.sha256, source="the record's model")
    tagged = tags.get(f"{EXPORT_PREFIX}{exported.format}", "nothing")
    yield compare_link("exports", recorded=exported.uri, observed=tagged, source="the version's tag")
    folder = scratch / f"exported-{exported.format}"
    try:
        registry.client.download_model(exported.model_id, folder)
        if exported.name:
            version = registry.client.describe_version(exported.name, exported.version)
            observed = version.model_id or "nothing"
            yield compare_link("exports", recorded=exported.model_id, observed=observed, source=source)
    except StepError as error:
        reason = f"{source} cannot be read: {error.why or error.what}"
        if not isinstance(error, NotInStore):  # nobody knows what the store has
            yield LinkCheck(link="exports", state=LinkState.UNVERIFIED, reason=reason, fix=error.fix)
            return
        fix = step_call("export-model", version_uri=record_uri(record))
        yield LinkCheck(link="exports", state=LinkState.BROKEN, reason=reason, fix=fix)
        return
    yield compare_link("exports", recorded=exported.sha256, observed=tree_digest(digests_in(folder)), source=source)


def record_uri(record: Record) -> str:
    """The URI of the version of a record, empty without one."""
    return f"models:/{record.version.name}/{record.version.version}" if record.version else ""
