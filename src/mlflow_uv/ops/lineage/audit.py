"""Does everything that a registered version says of itself hold? From the registry alone, without a record at hand."""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from ...command.errors import BadInput, StepError, ToolFailed
from ...core.model import model_files
from ...core.release.chain import LinkCheck, LinkState, compare_link
from ...core.release.commit import Commit
from ...core.release.digests import lock_digest, sha256, tree_digest
from ...core.release.record import Record, VersionLink
from ...tools.project.files import Project
from ...tools.system.content import digests_in
from ...tools.toolbox import Tools
from ..image.lookup import from_identity
from .recompute import from_commit, from_model, from_registry, requirements_of
from .registry_client import RegistryClient


@dataclass(frozen=True, kw_only=True, slots=True)
class Audited:
    """
    A version, and what computing every link of it again said.

    `said` is what the payload `describe-version` tells, `model` the folder with its files as the store returned them,
    `record` the one that its run keeps, None where there is none.
    """

    said: Mapping[str, Any]
    model: Path
    record: Record | None
    checks: tuple[LinkCheck, ...]

    @property
    def name(self) -> str:
        """Of the registered model."""
        return str(self.said["name"])

    @property
    def version(self) -> str:
        """Its number."""
        return str(self.said["version"])

    @property
    def tags(self) -> Mapping[str, str]:
        """Of the version."""
        tags: Mapping[str, str] = self.said["tags"]
        return tags


@contextmanager
def audited(contact: RegistryClient, *, name: str, version: str) -> Iterator[Audited]:
    """
    Compute every link of a version again; the model lies in a private folder while the block runs.

    Raises ToolFailed for a version that is not there, StoreUnreachable.
    """
    said = contact.version(name, version)
    with TemporaryDirectory(prefix="mlflow-uv-audit-") as scratch:
        model = Path(scratch) / "model"
        source = {"model_id": said["model_id"]} if said["model_id"] else {"uri": f"models:/{name}/{version}"}
        contact.ask("download-model", destination=str(model), **source)
        record = record_of(contact, said, Path(scratch) / "record.json")
        yield Audited(said=said, model=model, record=record, checks=tuple(_checks(contact, said, model, record)))


def numbered(asked: RegistryClient, name: str, said: str) -> str:
    """The number of a version that is said by its number or by an alias. Raises BadInput that lists what there is."""
    if not said.isdecimal():
        return named(asked, name, said)
    number = str(int(said))
    known = [one["version"] for one in asked.ask("find-versions", name=name)["versions"]]
    if number not in known:
        why = f"its versions are {', '.join(known[-9:])}" if known else "the registry knows none"
        raise BadInput(what=f"`{name}` has no version {number}", why=why)
    return number


def named(asked: RegistryClient, name: str, alias: str) -> str:
    """The number of the version that an alias names. Raises BadInput that lists the aliases there are."""
    said = asked.ask("describe-name", name=name)
    if alias not in said["aliases"]:
        there = ", ".join(f"{one} (version {number})" for one, number in sorted(said["aliases"].items()))
        why = f"its aliases are {there}" if there else "it has no alias"
        raise BadInput(
            what=f"`{name}` has no alias `{alias}`" if said["exists"] else f"there is no registered model `{name}`",
            why=why if said["exists"] else "the registry does not know it",
        )
    return str(said["aliases"][alias])


def distinct(**aliases: str) -> None:
    """Raise BadInput where one alias would be two things at once; each is called by its input."""
    inputs: dict[str, str] = {}
    for name, alias in aliases.items():
        if alias in inputs:
            raise BadInput(
                what=f"`{name}` and `{inputs[alias]}` are both `{alias}`", why="one alias cannot name two versions"
            )
        inputs[alias] = name


def kept_at(model_id: str, name: str, version: str) -> str:
    """Where the run of a model keeps the record of one version that was made from it, below its artifacts."""
    model, named = (re.sub(r"[^A-Za-z0-9._-]+", "-", text) for text in (model_id, name))
    return f"mlflow-uv/{model}/{named}-{sha256(name.encode())[:8]}/{version}/record.json"


def record_of(contact: RegistryClient, said: Mapping[str, Any], file: Path) -> Record | None:
    """The record that the version's run keeps. Its digest is compared later, like every other link."""
    if not said["run_id"] or not said["model_id"]:
        return None
    try:
        path = kept_at(str(said["model_id"]), str(said["name"]), str(said["version"]))
        contact.ask("download-record", run_id=said["run_id"], path=path, destination=str(file))
        return contact.tools.records.load(file)
    except (ToolFailed, BadInput):
        return None


def _checks(
    contact: RegistryClient, said: Mapping[str, Any], model: Path, record: Record | None
) -> Iterator[LinkCheck]:
    tags = said["tags"]
    if record is None:
        yield LinkCheck(
            link="record", state=LinkState.UNVERIFIED, reason="the version's run has no release record for it"
        )
        yield from _from_tags(contact, tags, model)
        return
    version = VersionLink(name=str(said["name"]), version=str(said["version"]), model_id=str(said["model_id"]))
    if record.version is not None:
        recorded = f"{record.version.name} {record.version.version}"
        found = f"{version.name} {version.version}"
        yield compare_link("version", recorded=recorded, observed=found, source="the registry")
    yield from from_registry(record, replace(version, model_id=record.model.model_id), said)
    yield from_commit(record.commit, record.lock.sha256, _committed(contact, record.commit))
    yield from from_model(record, model)
    yield from from_identity(record, contact.tools)
    yield from _tags_hold(record, tags)


def _tags_hold(record: Record, tags: Mapping[str, str]) -> Iterator[LinkCheck]:
    """What people see of a version in the registry is what its record says."""
    said = {
        "lock": ("lock-sha256", record.lock.sha256),
        "requirements": ("requirements-sha256", record.requirements.sha256),
        "model": ("model-sha256", record.model.sha256),
        "commit": ("commit", record.commit.sha),
    }
    for link, (tag, recorded) in said.items():
        yield compare_link(
            link, recorded=recorded, observed=tags.get(f"mlflow-uv.{tag}", "nothing"), source="the version's tag"
        )


def _from_tags(contact: RegistryClient, tags: Mapping[str, str], model: Path) -> Iterator[LinkCheck]:
    """What can be told of a version that was registered and not tested: its own tags are all that was recorded."""
    lock = model / model_files.LOCK
    found = {
        "lock": lock_digest(lock.read_bytes()) if lock.is_file() else "nothing",
        "requirements": requirements_of(model),
        "model": tree_digest(digests_in(model)),
    }
    for link, digest in found.items():
        recorded = tags.get(f"mlflow-uv.{link}-sha256")
        if recorded is None:
            yield LinkCheck(
                link=link, state=LinkState.UNVERIFIED, reason="the version has no tag with the expected digest"
            )
        else:
            yield compare_link(link, recorded=recorded, observed=digest, source="the store")
    if "mlflow-uv.commit" in tags and "mlflow-uv.lock-sha256" in tags:
        commit = Commit(sha=tags["mlflow-uv.commit"], project=".")
        yield from_commit(commit, tags["mlflow-uv.lock-sha256"], _committed(contact, commit))


def _committed(contact: RegistryClient, commit: Commit) -> bytes | None:
    """uv.lock at the commit: of this checkout, else of where it came from."""
    if contact.project is None or commit.changed:
        return None
    return locked_at(contact.project, commit.sha, contact.tools)


def locked_at(project: Project, sha: str, tools: Tools) -> bytes | None:
    """uv.lock of a project at a commit, fetched from its origin where the checkout lacks it; None if neither has it."""
    try:
        here = tools.git.blob(project.root, sha, "uv.lock")
        return here if here is not None else tools.git.blob_of_origin(project.root, sha, "uv.lock")
    except StepError:
        return None
