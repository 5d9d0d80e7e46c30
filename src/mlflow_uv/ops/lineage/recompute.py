"""Recomputes every link of a record from git, the store and the engine, before a step relies on it."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from ...command.errors import ToolFailed, sentence
from ...command.inputs import RecordInputs
from ...core.export.requirements import parse_requirements
from ...core.lock.selection import Selection
from ...core.model import model_files
from ...core.model.answers import answers_digest
from ...core.release.chain import LinkCheck, LinkState, compare_link, require_unbroken
from ...core.release.commit import UNKNOWN, Commit
from ...core.release.digests import REGISTERED, lock_digest, tree_digest
from ...core.release.record import AnswersLink, Record, VersionLink
from ...core.security.documents import parse_json
from ...payloads.messages.lazy_dataclass import lazy_dataclass
from ...payloads.messages.models import LoggedModelDescription
from ...payloads.messages.registry import RegisteredVersion
from ...payloads.messages.tags import RECORD_DIGEST
from ...tools.mlflow.store_client import StoreClient
from ...tools.project.files import Project
from ...tools.system.content import digests_in
from ...tools.system.partial_folders import scratch_folder
from ...tools.toolbox import Tools
from ..image.lookup import from_image
from .publication import settled
from .registry_client import project_here

_NOT_HERE = "git does not have the commit here"


@lazy_dataclass
class RecomputedRelease:
    """A verified record with a client of its store, the downloaded model and the checks."""

    record: Record
    client: StoreClient
    project: Project | None
    model: Path
    checks: tuple[LinkCheck, ...]


@contextmanager
def verified_release(inputs: RecordInputs, tools: Tools) -> Iterator[RecomputedRelease]:
    """
    Recompute every link of a record so far, from its source.

    The model is downloaded into a private folder while the block runs. Raises ChainBroken that names each broken link,
    BadInput without a record.
    """
    with verified_release_with_callback(inputs, tools, lambda _: None) as release:
        yield release


@contextmanager
def verified_release_with_callback(
    inputs: RecordInputs, tools: Tools, on_record: Callable[[RecomputedRelease], None]
) -> Iterator[RecomputedRelease]:
    """
    Provide the same as `verified_release`, and call `on_record` before MLflow is imported, which takes a second or two.

    The callback gets the release as its record describes it: only the lock was compared by then, and there is no model.
    """
    path = tools.records.path(inputs.record, inputs.project)
    record = tools.records.load(path)
    project = project_here(inputs.project)
    # The lock first: the environment for the store may be created from it.
    earlier_checks = require_unbroken(_from_git(record, project, tools))
    store = tools.mlflow.store(inputs.tracking_uri, embedded=inputs.embedded)
    python = tools.environments.registry_client(store, project, record.selection)
    store = tools.mlflow.resolve_embedded(store, python, inputs.project)
    client = StoreClient(mlflow=tools.mlflow, python=python, store=store)
    on_record(RecomputedRelease(record=record, client=client, project=project, model=Path(os.devnull), checks=()))
    in_file, record = record, settled(record, path, client, tools)
    if record is not in_file:
        earlier_checks = require_unbroken(_from_git(record, project, tools))
    earlier_checks += require_unbroken(_anchored(record, client))
    with scratch_folder() as scratch:
        model = scratch / "model"
        client.download_model(record.model.model_id, model)
        note_version(record.version, model)
        links = (*from_model(record, model), *from_image(record, tools), *from_verification(record))
        checks = require_unbroken((*earlier_checks, *links))
        for check in checks:
            if check.state is LinkState.UNVERIFIED and not record.commit.changed:
                tools.console.say(f"  {sentence(f'`{check.link}` is not verified here', check.reason, check.fix)}")
        yield RecomputedRelease(record=record, client=client, project=project, model=model, checks=checks)


def note_version(version: VersionLink | None, model: Path) -> None:
    """Write the file that MLflow writes into a model from the registry: the server takes its name from it."""
    (model / REGISTERED).unlink(missing_ok=True)
    if version is not None:
        text = f"model_name: {version.name}\nmodel_version: '{version.version}'\n"
        (model / REGISTERED).write_text(text, encoding="utf-8")


def _from_git(record: Record, project: Project | None, tools: Tools) -> Iterator[LinkCheck]:
    if project is None:
        yield LinkCheck(link="commit", state=LinkState.UNVERIFIED, reason="the project folder is not available here")
        yield LinkCheck(link="lock", state=LinkState.UNVERIFIED, reason="the project folder is not available here")
        return
    try:
        committed, why = tools.git.blob(project.root, record.commit.sha, "uv.lock"), _NOT_HERE
    except ToolFailed as error:
        committed, why = None, error.what
    yield from_commit(record.commit, record.lock.sha256, committed, why=why)
    digest = lock_digest(project.lock.read_bytes()) if project.lock.is_file() else None
    yield compare_link("lock", recorded=record.lock.sha256, observed=digest, source=str(project.lock))


def from_commit(commit: Commit, lock_sha256: str, committed: bytes | None, *, why: str = _NOT_HERE) -> LinkCheck:
    """Compare the lock at a commit with the recorded one; `committed` is None if git does not have it, and `why`."""
    if commit.changed or committed is None:
        why = "the tree was dirty" if commit.changed else why
        why = "no commit was recorded" if commit.sha == UNKNOWN else why
        return LinkCheck(link="commit", state=LinkState.UNVERIFIED, reason=why)
    return compare_link(
        "commit", recorded=lock_sha256, observed=lock_digest(committed), source="uv.lock at that commit"
    )


def from_model(record: Record, model: Path) -> Iterator[LinkCheck]:
    """Check the links that the files of a downloaded model prove."""
    source = "the model in the store"
    lock = model / model_files.LOCK
    digest = lock_digest(lock.read_bytes()) if lock.is_file() else None
    yield compare_link("lock", recorded=record.lock.sha256, observed=digest or "nothing", source=source)
    yield compare_link("selection", recorded=record.selection.sha256, observed=_selection(model), source=source)
    _, wheels = _listed(model)
    yield compare_link(
        "requirements", recorded=record.requirements.sha256, observed=requirements_of(model), source=source
    )
    travelling = {wheel.file: wheel.sha256 for wheel in record.requirements.wheels}
    listed_wheels = {(wheel.file, wheel.marker) for wheel in record.requirements.wheels}
    wheel_digests = {path.name: digest for path, digest in digests_in(model / model_files.WHEELS)}
    if set(wheels) != listed_wheels or wheel_digests != travelling:
        reason = f"the wheels of {source} are not those of the record"
        yield LinkCheck(link="requirements", state=LinkState.BROKEN, reason=reason)
    if record.answers is not None:
        cases = _json_digest(model / model_files.CASES)
        expected = _json_digest(model / model_files.ANSWERS)
        yield compare_link(
            "answers", recorded=record.answers.cases, observed=cases, source=f"the recorded requests of {source}"
        )
        yield compare_link(
            "answers",
            recorded=record.answers.expected,
            observed=expected,
            source=f"the recorded predictions of {source}",
        )
        yield from _from_recorded_requests(record.answers, model, source)
    yield compare_link(
        "model", recorded=record.model.sha256, observed=tree_digest(digests_in(model)), source="the store"
    )


def _from_recorded_requests(answers: AnswersLink, model: Path, source: str) -> Iterator[LinkCheck]:
    """Check the requests of a file and the derived ones; models of earlier releases have none."""
    for recorded, file in ((answers.requests, model_files.REQUESTS), (answers.responses, model_files.RESPONSES)):
        if recorded:
            yield compare_link(
                "answers", recorded=recorded, observed=_json_digest(model / file), source=f"`{file}` of {source}"
            )


def from_verification(record: Record) -> Iterator[LinkCheck]:
    """
    Check that the results of verify are about the model, the answers and the image of the record.

    A release that runs again has no image yet when it keeps earlier results; they name the image that they are about.
    """
    link = record.verification
    if link is None:
        return
    parts = [
        ("model", link.model, record.model.sha256),
        ("recorded predictions", link.expected, record.answers.expected if record.answers else "nothing"),
    ]
    if link.image and record.image is not None:
        parts.append(("image", link.image, record.image.id))
    for part, recorded, observed in parts:
        yield compare_link("verification", recorded=recorded, observed=observed, source=f"the link of its {part}")


def _selection(model: Path) -> str:
    try:
        selection = parse_json((model / model_files.SELECTION).read_text(encoding="utf-8"))
        return Selection(
            package=selection["package"], extras=tuple(selection["extras"]), groups=tuple(selection["groups"])
        ).sha256
    except (OSError, ValueError, KeyError, TypeError):
        return "nothing that can be read"


def _listed(model: Path) -> tuple[str, tuple[tuple[str, str], ...]]:
    file = model / model_files.REQUIREMENTS
    return model_files.split_requirements(file.read_text(encoding="utf-8") if file.is_file() else "")


def requirements_of(model: Path) -> str:
    """Return the digest of a model's requirements.txt, or why it has none."""
    text, _ = _listed(model)
    try:
        return parse_requirements(text).digest
    except ValueError as error:
        return str(error)


def _json_digest(path: Path) -> str:
    try:
        return answers_digest(parse_json(path.read_text(encoding="utf-8")))
    except (OSError, ValueError):
        return "nothing that can be read"


def _anchored(record: Record, client: StoreClient) -> Iterator[LinkCheck]:
    if record.version is None:
        yield _anchor_holds(record, client.describe_model(record.model.model_id))
    else:
        version = record.version
        yield from from_registry(record, version, client.describe_version(version.name, version.version))


def from_registry(record: Record, version: VersionLink, description: RegisteredVersion) -> Iterator[LinkCheck]:
    """Check the links of a version in the registry, as the registry describes it."""
    source = "the registry, of its source,"
    yield compare_link("version", recorded=version.model_id, observed=description.model_id or "nothing", source=source)
    yield compare_link(
        "version", recorded=record.model.model_id, observed=version.model_id, source="the record's version"
    )
    yield _anchor_holds(record, description)


def _anchor_holds(record: Record, description: RegisteredVersion | LoggedModelDescription) -> LinkCheck:
    tagged = description.tags.get(RECORD_DIGEST, "nothing")
    return compare_link("record", recorded=record.sha256, observed=tagged, source="the registry's tag")
