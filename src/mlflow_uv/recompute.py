"""Does the record still say what git, the store and the engine say? Every consumer asks here before it goes on."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Protocol

from .core import modelfiles
from .core.answers import answers_digest
from .core.chain import LinkCheck, LinkState, compared, require
from .core.digests import lock_digest, tree_digest
from .core.record import Record, Version
from .core.requirements import parse_requirements
from .core.selection import Selection
from .errors import BadProject
from .tools.content import digests_in
from .tools.files import Project, read_project
from .tools.mlflow import Store
from .tools.toolbox import Tools

RECORD_TAG = "mlflow-uv.record-sha256"


@dataclass(frozen=True, kw_only=True, slots=True)
class Found:
    """A record that holds: the store it is about, who may talk to it, the model as the store returns it, the checks."""

    record: Record
    store: Store
    python: Path
    project: Project | None
    model: Path
    checks: tuple[LinkCheck, ...]


class Question(Protocol):
    """Which release a consumer is asked about: the inputs that every one of them has."""

    @property
    def project(self) -> Path:
        """Folder of the project, which need not be here."""

    @property
    def record(self) -> Path | None:
        """The record's file, if one was named."""

    @property
    def tracking_uri(self) -> str | None:
        """The store, if one was named."""

    @property
    def embedded(self) -> bool:
        """Whether a store that vanishes will do."""


@contextmanager
def holding(question: Question, tools: Tools) -> Iterator[Found]:
    """
    Recompute every link of a record so far, from its source.

    The model is fresh from the store and lies in a private folder while the block runs. Raises ChainBroken that names
    each broken link, BadInput where there is no record.
    """
    record = tools.records.load(tools.records.path(question.record, question.project))
    project = _project(question.project)
    # The lock first: the environment that asks the store may be made from it.
    before = require(_from_git(record, project, tools))
    store = tools.mlflow.store(question.tracking_uri, embedded=question.embedded)
    python = tools.environments.talking_to(store, project, record.selection)
    before += require(_anchored(record, store, python, tools))
    with TemporaryDirectory(prefix="mlflow-uv-model-") as scratch:
        model = Path(scratch) / "model"
        tools.mlflow.ask(python, store, "download-model", model_id=record.model.model_id, destination=str(model))
        checks = require((*before, *_from_model(record, model), *_image(record, tools)))
        for check in checks:
            if check.state is LinkState.UNVERIFIED and record.commit.dirty is None:
                tools.voice.say(f"  `{check.link}` is not verified here: {check.reason}")
        yield Found(record=record, store=store, python=python, project=project, model=model, checks=checks)


def anchor(record: Record, store: Store, python: Path, tools: Tools) -> None:
    """Tag what the record is about with its digest, so that an edited record is found out."""
    target: dict[str, object] = {"model_id": record.model.model_id}
    if record.version is not None:
        target["version"] = [record.version.name, record.version.version]
    tools.mlflow.ask(python, store, "tag", tags={RECORD_TAG: record.sha256}, **target)


def _project(folder: Path) -> Project | None:
    try:
        return read_project(folder)
    except BadProject:
        return None


def _from_git(record: Record, project: Project | None, tools: Tools) -> Iterator[LinkCheck]:
    if project is None:
        yield LinkCheck(link="commit", state=LinkState.UNVERIFIED, reason="the project is not here")
        yield LinkCheck(link="lock", state=LinkState.UNVERIFIED, reason="the project is not here")
        return
    committed = tools.git.blob(project.root, record.commit.sha, "uv.lock")
    if record.commit.dirty is not None or committed is None:
        why = "the tree was dirty" if record.commit.dirty else "git does not have it here"
        yield LinkCheck(link="commit", state=LinkState.UNVERIFIED, reason=why)
    else:
        yield compared(
            "commit", recorded=record.lock.sha256, found=lock_digest(committed), source="uv.lock at that commit"
        )
    found = lock_digest(project.lock.read_bytes()) if project.lock.is_file() else None
    yield compared("lock", recorded=record.lock.sha256, found=found, source=str(project.lock))


def _from_model(record: Record, model: Path) -> Iterator[LinkCheck]:
    source = "the model in the store"
    lock = model / modelfiles.LOCK
    found = lock_digest(lock.read_bytes()) if lock.is_file() else None
    yield compared("lock", recorded=record.lock.sha256, found=found or "nothing", source=source)
    yield compared("selection", recorded=record.selection.sha256, found=_selection(model), source=source)
    said, wheels = modelfiles.own_lines((model / modelfiles.REQUIREMENTS).read_text(encoding="utf-8"))
    yield compared("requirements", recorded=record.requirements.sha256, found=_requirements(said), source=source)
    travelling = {wheel.file: wheel.sha256 for wheel in record.requirements.wheels}
    lying = {path.name: digest for path, digest in digests_in(model / modelfiles.WHEELS)}
    if set(wheels) != travelling.keys() or lying != travelling:
        reason = f"the wheels of {source} are not those of the record"
        yield LinkCheck(link="requirements", state=LinkState.BROKEN, reason=reason)
    if record.answers is not None:
        cases = _json_digest(model / modelfiles.CASES)
        expected = _json_digest(model / modelfiles.ANSWERS)
        yield compared("answers", recorded=record.answers.cases, found=cases, source=f"the cases of {source}")
        yield compared("answers", recorded=record.answers.expected, found=expected, source=f"the answers of {source}")
    yield compared("model", recorded=record.model.sha256, found=tree_digest(digests_in(model)), source="the store")


def _selection(model: Path) -> str:
    try:
        said = json.loads((model / modelfiles.SELECTION).read_text(encoding="utf-8"))
        return Selection(package=said["package"], extras=tuple(said["extras"]), groups=tuple(said["groups"])).sha256
    except (OSError, ValueError, KeyError, TypeError):
        return "nothing that can be read"


def _requirements(said: str) -> str:
    try:
        return parse_requirements(said).digest
    except ValueError as error:
        return str(error)


def _json_digest(path: Path) -> str:
    try:
        return answers_digest(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError):
        return "nothing that can be read"


def _anchored(record: Record, store: Store, python: Path, tools: Tools) -> Iterator[LinkCheck]:
    if record.version is None:
        tags = tools.mlflow.ask(python, store, "describe-model", model_id=record.model.model_id)["tags"]
    else:
        said = _version(record.version, store, python, tools)
        tags = said["tags"]
        yield compared(
            "version", recorded=record.version.model_id, found=said["model_id"], source="the registry, of its source,"
        )
        yield compared(
            "version", recorded=record.model.model_id, found=record.version.model_id, source="the record's version"
        )
    yield compared("record", recorded=record.sha256, found=tags.get(RECORD_TAG, "nothing"), source="the registry's tag")


def _version(version: Version, store: Store, python: Path, tools: Tools) -> dict[str, Any]:
    return tools.mlflow.ask(python, store, "describe-version", name=version.name, version=version.version)


def _image(record: Record, tools: Tools) -> Iterator[LinkCheck]:
    if record.image is None or record.image.kind != "image":
        return
    found = tools.docker.image(record.image.tag)
    yield compared("image", recorded=record.image.id, found=found.id if found else None, source="the engine")
