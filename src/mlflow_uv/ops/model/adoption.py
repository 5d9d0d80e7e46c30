"""Adopts a model that was logged elsewhere, after checking the commit and lock that its run recorded."""

import re
from collections.abc import Mapping
from dataclasses import replace

from ...command.errors import BadInput, ChainBroken, ModelNotFound
from ...command.report import Finding, Severity
from ...command.wording import Wording, local, option, step_call
from ...core.release.commit import CHANGED, UNKNOWN, Commit
from ...core.release.digests import lock_digest
from ...payloads.messages.lazy_dataclass import lazy_dataclass
from ...payloads.messages.models import FindModels, FoundModels, LoggedModelDescription
from ...payloads.messages.tags import COMMIT, DIRTY, LOCK_DIGEST, RELEASE_KEY
from ...tools.toolbox import Tools
from .source import ModelSource, ModelSourceKind
from .training import Job

# Our tags record whether the tree was clean; MLflow's tag does not.
COMMIT_TAGS = (COMMIT, "mlflow.source.git.commit")


@lazy_dataclass
class Adopted:
    """
    A run or model with its versions, and the commit that it was trained from.

    `source` holds the id of the run or model, because an alias may move.
    """

    found: FoundModels
    source: ModelSource
    commit: Commit
    findings: tuple[Finding, ...]


def adopt(job: Job, tools: Tools) -> Adopted:
    """
    Check a finished run or a model, and the lock at the commit that its run recorded; nothing is changed.

    A link that cannot be checked here is a warning. Raises ModelNotFound for an unfinished run or model, ChainBroken
    for another lock.
    """
    by_run = job.source.kind is ModelSourceKind.RUN
    source = job.source if by_run else replace(job.source, words=(_model_id(job),))
    query = FindModels(run_id=source.word) if by_run else FindModels(model_id=source.word)
    logged = job.client.find_models(query)
    status = logged.runs[0].status if by_run else logged.models[0].status
    if status != ("FINISHED" if by_run else "READY"):
        raise ModelNotFound(
            what=f"{'run' if by_run else 'model'} {job.source.word} is {status}",
            why="only finished runs and models can be released",
            fix=Wording("name a finished model with ", option("from-model", "ID"), ", or train again"),
        )
    # The tags are on the run; a model that was logged without a run has them itself.
    tags = (logged.runs or logged.models)[0].tags
    commit, reason = _commit(job, tags, tools)
    findings = (_unverified(job, commit, reason),) if reason else ()
    return Adopted(found=logged, source=source, commit=commit, findings=findings)


def require_free(model: LoggedModelDescription, adopted: Adopted, key: str) -> None:
    """Raise BadInput if another release has a version of this model: verification writes into the model."""
    for version in adopted.found.versions:
        other_key = version.tags.get(RELEASE_KEY, key)
        if version.model_id == model.model_id and other_key != key:
            raise BadInput(
                what=f"model {model.model_id} belongs to another release",
                why=f"version {version.version} of {version.name} was made from it with the release key"
                f" {other_key[:12]}, and this release has the key {key[:12]}",
                fix=Wording(
                    step_call("release"),
                    " with the lock and the inputs that it was verified with, which reuses it, or log the model again",
                ),
            )


def _model_id(job: Job) -> str:
    """Return the id of the model that is given by its id or by an MLflow URI."""
    reference = job.source.word
    if not reference.startswith(("models:/", "runs:/")):
        return reference
    return job.client.find_referenced_model(reference)


def _commit(job: Job, tags: Mapping[str, str], tools: Tools) -> tuple[Commit, str]:
    """Return the commit that a run recorded, and why its lock cannot be verified here; empty if it is this lock."""
    sha = next((tags[name] for name in COMMIT_TAGS if tags.get(name)), "")
    noted = tags.get(LOCK_DIGEST, job.lock.sha256)
    if noted != job.lock.sha256:
        raise _other_lock(job, sha, noted)
    if not re.fullmatch(r"[0-9a-f]{40}|[0-9a-f]{64}", sha):
        return Commit(sha=UNKNOWN, project=job.commit.project, dirty=UNKNOWN), "its run recorded no commit"
    if tags.get(DIRTY) == "true":
        commit = Commit(sha=sha, project=job.commit.project, dirty=CHANGED)
        return commit, f"the tree differed from commit {sha[:12]} when it was trained"
    clean = tags.get(DIRTY) == "false"
    commit = Commit(sha=sha, project=job.commit.project, dirty=None if clean else UNKNOWN)
    root = job.project.root
    committed = tools.git.blob_from_anywhere(root, sha, "uv.lock")
    if committed is None:
        return commit, f"neither this checkout nor its origin has uv.lock at commit {sha[:12]}"
    if lock_digest(committed) != job.lock.sha256:
        raise _other_lock(job, sha, lock_digest(committed))
    if job.local and (job.commit.sha != sha or job.commit.dirty):
        return commit, f"its local packages ({', '.join(job.local)}) are of commit {sha[:12]}, and those here are not"
    return commit, ""


def _other_lock(job: Job, sha: str, recorded_lock: str) -> ChainBroken:
    lock_here = job.lock.sha256[:12]
    return ChainBroken(
        "lock",
        why=f"{job.source.word} was trained with uv.lock {recorded_lock[:12]}, and the one here is {lock_here}",
        fix=Wording(_checkout(sha, f"git checkout {sha[:12]}"), ", or train again with the lock that is here")
        if sha
        else "train again",
    )


def _checkout(sha: str, typed: str) -> str:
    return local(typed, f"`ref: {sha}` for actions/checkout")


def _unverified(job: Job, commit: Commit, reason: str) -> Finding:
    other_commit = commit.sha not in (UNKNOWN, job.commit.sha)
    return Finding(
        rule="lineage-unverified",
        severity=Severity.WARNING,
        what=f"it is unverified that {job.source.word} was trained with this lock",
        why=reason,
        fix=_checkout(commit.sha, f"git fetch origin {commit.sha} && git checkout {commit.sha}")
        if other_commit
        else Wording("train with ", step_call("log-model")),
        path=job.project.lock,
    )
