"""Recomputes every link of a registered version, from the registry alone, without a local record."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from ...command.errors import BadInput, StepError
from ...command.wording import step_call
from ...core.model import model_files
from ...core.release.chain import LinkCheck, LinkState, compare_link
from ...core.release.commit import Commit
from ...core.release.digests import lock_digest, tree_digest
from ...core.release.record import Record, VersionLink
from ...payloads.messages.lazy_dataclass import lazy_dataclass
from ...payloads.messages.registry import RegisteredVersion
from ...payloads.messages.tags import COMMIT, LOCK_DIGEST, MODEL_DIGEST, RECORD_DIGEST, REQUIREMENTS_DIGEST
from ...tools.mlflow.errors import NotInStore
from ...tools.project.files import Project
from ...tools.system.content import digests_in
from ...tools.system.partial_folders import scratch_folder
from ...tools.toolbox import Tools
from ..image.lookup import from_identity
from ..signing.trust import trust_of
from ..signing.verification import SignedVersion, from_signature
from .exports import from_exports
from .publication import publication_artifact, record_artifact
from .recompute import from_commit, from_model, from_registry, from_verification, requirements_of
from .registry_client import RegistryClient


class RecordUnreadable(BadInput):
    """A version's run has a release record that cannot be read: it was changed, or another release wrote it."""

    def __init__(self, path: str, why: str) -> None:
        self.reason = f"the release record in the run cannot be read: {why}"
        super().__init__(what=f"the release record `{path}` cannot be read", why=why, fix=step_call("release"))


@lazy_dataclass
class Audited:
    """
    A version and the result of recomputing every link of it.

    `description` is the version in the registry, `model` the folder with the downloaded files, `record` the record in
    its run, None if there is none or if it cannot be read; the link `record` is broken then.
    """

    description: RegisteredVersion
    model: Path
    record: Record | None
    checks: tuple[LinkCheck, ...]

    @property
    def name(self) -> str:
        """Name of the registered model."""
        return self.description.name

    @property
    def version(self) -> str:
        """Version number."""
        return self.description.version

    @property
    def tags(self) -> Mapping[str, str]:
        """Tags of the version."""
        return self.description.tags


@contextmanager
def audited(registry: RegistryClient, *, name: str, version: str) -> Iterator[Audited]:
    """
    Recompute every link of a version; the model is in a private folder while the block runs.

    That includes the signature, as the trust settings require. Raises ToolFailed if the version does not exist,
    StoreUnreachable, BadInput for wrong trust settings.
    """
    trust = trust_of(registry.project, registry.tools)
    with recomputed(registry, name=name, version=version) as audit:
        signed = SignedVersion(description=audit.description, record=audit.record, model=audit.model)
        yield replace(audit, checks=(*audit.checks, *from_signature(signed, registry, trust).checks))


@contextmanager
def recomputed(registry: RegistryClient, *, name: str, version: str) -> Iterator[Audited]:
    """Do the same without looking at signatures: for the step that signs. Raises ToolFailed, StoreUnreachable."""
    description = registry.client.describe_version(name, version)
    with scratch_folder() as scratch:
        model = scratch / "model"
        registry.client.download_version(description, model)
        record: Record | None = None
        unreadable: tuple[LinkCheck, ...] = ()
        try:
            record = record_of(registry, description, scratch / "record.json")
        except RecordUnreadable as error:
            unreadable = (LinkCheck(link="record", state=LinkState.BROKEN, reason=error.reason, fix=error.fix),)
        yield Audited(
            description=description,
            model=model,
            record=record,
            checks=(
                *unreadable,
                *_checks(registry, description, model, record),
                *(from_exports(record, description.tags, registry, scratch) if record else ()),
            ),
        )


def require_distinct(**aliases: str) -> None:
    """Raise BadInput if two inputs have the same alias; arguments are named after the inputs."""
    inputs: dict[str, str] = {}
    for name, alias in aliases.items():
        if alias in inputs:
            raise BadInput(
                what=f"`{name}` and `{inputs[alias]}` are both `{alias}`", why="one alias cannot name two versions"
            )
        inputs[alias] = name


def record_of(registry: RegistryClient, description: RegisteredVersion, file: Path) -> Record | None:
    """
    Return the record in the version's run, None without one; its digest is checked later, as for any link.

    After an interrupted publication it is the one with the digest in the version's tag. Raises RecordUnreadable for one
    that is there and cannot be read, ToolFailed, StoreUnreachable.
    """
    if not description.run_id or not description.model_id:
        return None
    path = record_artifact(description.model_id, description.name, description.version)
    record = _downloaded(registry, description.run_id, path, file)
    tagged = description.tags.get(RECORD_DIGEST)
    if record is None or tagged is None or tagged == record.sha256:
        return record
    published = _downloaded(registry, description.run_id, publication_artifact(path, tagged), file)
    return published if published is not None and published.sha256 == tagged else record


def readable_record_of(registry: RegistryClient, description: RegisteredVersion, file: Path) -> Record | None:
    """Return the same, and None also for a record that cannot be read: for a step that can do without."""
    try:
        return record_of(registry, description, file)
    except RecordUnreadable:
        return None


def _downloaded(registry: RegistryClient, run_id: str, path: str, file: Path) -> Record | None:
    try:
        registry.client.download_record(run_id, path=path, destination=file)
    except NotInStore:
        return None
    try:
        return registry.tools.records.load(file)
    except BadInput as error:
        raise RecordUnreadable(path, error.why) from error


def _checks(
    registry: RegistryClient, description: RegisteredVersion, model: Path, record: Record | None
) -> Iterator[LinkCheck]:
    tags = description.tags
    if record is None:
        yield LinkCheck(
            link="record", state=LinkState.UNVERIFIED, reason="the version's run has no release record for it"
        )
        yield from _from_tags(registry, tags, model)
        return
    version = VersionLink(name=description.name, version=description.version, model_id=str(description.model_id))
    if record.version is not None:
        recorded = f"{record.version.name} {record.version.version}"
        actual = f"{version.name} {version.version}"
        yield compare_link("version", recorded=recorded, observed=actual, source="the registry")
    yield from from_registry(record, replace(version, model_id=record.model.model_id), description)
    yield from_commit(record.commit, record.lock.sha256, _committed(registry, record.commit))
    yield from from_model(record, model)
    yield from from_identity(record, registry.tools)
    yield from from_verification(record)
    yield from _tags_hold(record, tags)


def _tags_hold(record: Record, tags: Mapping[str, str]) -> Iterator[LinkCheck]:
    """Compare the tags of a version with its record."""
    recorded_tags = {
        "lock": (LOCK_DIGEST, record.lock.sha256),
        "requirements": (REQUIREMENTS_DIGEST, record.requirements.sha256),
        "model": (MODEL_DIGEST, record.model.sha256),
        "commit": (COMMIT, record.commit.sha),
    }
    for link, (tag, recorded) in recorded_tags.items():
        yield compare_link(link, recorded=recorded, observed=tags.get(tag, "nothing"), source="the version's tag")


def _from_tags(registry: RegistryClient, tags: Mapping[str, str], model: Path) -> Iterator[LinkCheck]:
    """Check a version without a record: its tags are all that was recorded."""
    lock = model / model_files.LOCK
    digests = {
        "lock": (LOCK_DIGEST, lock_digest(lock.read_bytes()) if lock.is_file() else "nothing"),
        "requirements": (REQUIREMENTS_DIGEST, requirements_of(model)),
        "model": (MODEL_DIGEST, tree_digest(digests_in(model))),
    }
    for link, (tag, digest) in digests.items():
        recorded = tags.get(tag)
        if recorded is None:
            yield LinkCheck(
                link=link, state=LinkState.UNVERIFIED, reason="the version has no tag with the expected digest"
            )
        else:
            yield compare_link(link, recorded=recorded, observed=digest, source="the store")
    if COMMIT in tags and LOCK_DIGEST in tags:
        commit = Commit(sha=tags[COMMIT], project=".")
        yield from_commit(commit, tags[LOCK_DIGEST], _committed(registry, commit))


def _committed(registry: RegistryClient, commit: Commit) -> bytes | None:
    """Return uv.lock at a commit, from this checkout or its origin."""
    if registry.project is None or commit.changed:
        return None
    return locked_at(registry.project, commit.sha, registry.tools)


def locked_at(project: Project, sha: str, tools: Tools) -> bytes | None:
    """Return uv.lock of a project at a commit, from the checkout or its origin; None if neither has it."""
    try:
        return tools.git.blob_from_anywhere(project.root, sha, "uv.lock")
    except StepError:
        return None
