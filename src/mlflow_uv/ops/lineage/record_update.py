"""Changes the published release record of a version, in its run and in the files of this machine that have it."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory

from ...command.errors import BadInput, ChainBroken
from ...core.release.digests import sha256
from ...core.release.record import Record
from ...payloads.messages.registry import RegisteredVersion
from ...payloads.messages.tags import RECORD_DIGEST
from ...tools.toolbox import Tools
from .audit import record_of
from .publication import RecordChange, RecordReplaced, publish_again, settled
from .registry_client import RegistryClient

_ATTEMPTS = 5


class NotPublished(ChainBroken):
    """A version has no record with the digest that the registry has, or no run to write one into."""

    def __init__(self, why: str) -> None:
        super().__init__("record", why=why)


def update_published(
    version: tuple[str, str], change: Callable[[Record], Record], files: Iterable[Path], registry: RegistryClient
) -> Record:
    """
    Change the record of a version, a name and a number, as it is now; return the changed one.

    `change` gets the published record, with what other steps wrote since the caller read it, and must change its own
    link alone. Each of `files` that has the published record is replaced; one with another record stays. Updates wait
    for a release that writes one of the files, and on one machine for each other. If another machine wrote the record
    meanwhile, that one is changed. Raises NotPublished, RecordReplaced after several attempts, RecordUnreadable,
    StoreUnreachable, ToolFailed.
    """
    places = tuple(dict.fromkeys(files))
    with ExitStack() as locks:
        for file in sorted(places):
            locks.enter_context(_without_release(file, registry.tools))
        locks.enter_context(_alone(version, registry))
        for _ in range(_ATTEMPTS - 1):
            with suppress(RecordReplaced):
                return _update(version, change, places, registry)
        return _update(version, change, places, registry)


def _update(
    version: tuple[str, str], change: Callable[[Record], Record], files: tuple[Path, ...], registry: RegistryClient
) -> Record:
    name, number = version
    tools = registry.tools
    with TemporaryDirectory(prefix="mlflow-uv-record-") as folder:
        scratch = Path(folder) / "record.json"
        description = registry.client.describe_version(name, number)
        local = [file for file in files if _is_published(file, description, registry)]
        record = tools.records.load(local[0]) if local else record_of(registry, description, scratch)
        if record is None:
            raise NotPublished("its run has no release record")
        if record.sha256 != description.tags.get(RECORD_DIGEST):
            raise NotPublished("its release record is not the published one")
        if not record.model.run_id:
            raise NotPublished("its model has no run")
        changed = change(record)
        if changed != record:
            publish_again(
                RecordChange(before=record, after=changed), local[0] if local else scratch, registry.client, tools
            )
            for file in local[1:]:
                tools.records.save(file, changed)
        return changed


def _without_release(file: Path, tools: Tools) -> AbstractContextManager[None]:
    """Hold the lock of a record file, which a release has while it runs; its own steps have it already."""
    return tools.records.locked(file, waiting=lambda: tools.console.say("waiting for a release of this project"))


@contextmanager
def _alone(version: tuple[str, str], registry: RegistryClient) -> Iterator[None]:
    tools = registry.tools
    key = sha256("\0".join((registry.client.store.uri, *version)).encode())
    shown = f"waiting for another step that writes the release record of {' version '.join(version)}"
    with tools.records.locked(tools.host.state / "record-updates" / key, waiting=lambda: tools.console.say(shown)):
        yield


def _is_published(file: Path, description: RegisteredVersion, registry: RegistryClient) -> bool:
    """Whether a file has the record whose digest the registry has, also after an interrupted publication."""
    tools = registry.tools
    try:
        record = settled(tools.records.load(file), file, registry.client, tools)
    except BadInput:
        return False
    return record.sha256 == description.tags.get(RECORD_DIGEST)
