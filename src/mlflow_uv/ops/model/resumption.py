"""Marks a trained model while it is verified, so that the release after one that was interrupted resumes with it."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import PurePosixPath

from ...command.errors import NoSpace, StepError, StoreUnreachable, ToolFailed
from ...command.wording import step_call
from ...core.model import model_files
from ...core.release.digests import tree_digest
from ...payloads.messages.lazy_dataclass import lazy_dataclass
from ...payloads.messages.models import LoggedModelDescription
from ...payloads.messages.registry import SetTags
from ...payloads.messages.tags import RELEASE_KEY, TRAINED_DIGEST, TRAINED_KEY, VERIFICATION
from ...tools.mlflow.attempts import Attempt
from ...tools.mlflow.store_client import StoreClient
from ...tools.toolbox import Tools
from .verification_plan import RequirementsPolicy, VerificationPlan

# Values of the tag VERIFICATION, beside the id of the attempt that verifies the model.
_INTERRUPTED, _REFUSED, VERIFIED = "interrupted", "refused", "verified"


@lazy_dataclass
class OpenVerification:
    """The verification of a model by this process; without an attempt for a model that no release may resume with."""

    client: StoreClient
    model_id: str
    attempt: Attempt | None

    def refuse(self) -> None:
        """Record that the verification found an error in the model, so that no later release resumes with it."""
        if self.attempt is not None:
            self._settle(_REFUSED)

    def require_own(self) -> None:
        """Raise ToolFailed if another release took the model meanwhile; called before and after files are written."""
        if self.attempt is not None and not self._is_own(self.attempt):
            raise _taken(self.model_id)

    def give_up(self, error: BaseException, tools: Tools) -> None:
        """Record how the verification ended by an exception; if the store does not answer, its attempt stays open."""
        is_verdict = isinstance(error, Exception) and not isinstance(error, StoreUnreachable | NoSpace)
        if self.attempt is None:
            return
        try:
            if self._is_own(self.attempt):
                self._settle(_REFUSED if is_verdict else _INTERRUPTED)
        except StepError as lost:
            tools.console.say(f"how the verification of {self.model_id} ended could not be recorded: {lost}")
        else:
            self.attempt.mark_closed()

    def _is_own(self, attempt: Attempt) -> bool:
        return self.client.describe_model(self.model_id).tags.get(VERIFICATION) == attempt.id

    def _settle(self, outcome: str) -> None:
        self.client.set_tags(SetTags(model_id=self.model_id, tags={VERIFICATION: outcome}))


@contextmanager
def verification(
    plan: VerificationPlan, model: LoggedModelDescription, files: Iterable[tuple[PurePosixPath, str]], tools: Tools
) -> Iterator[OpenVerification]:
    """
    Tag a model as trained, and as being verified by this process, while the block runs.

    `files` are the digests of what the model consists of. Call it after the inputs were compared with those before
    training, which the tags claim. Of an adopted model only the verification is tagged, if a release trained it, which
    might be resumed meanwhile. Raises ToolFailed if another release took the model after it was described.
    """
    client = plan.job.client
    if plan.keyed is None and TRAINED_KEY not in model.tags:
        yield OpenVerification(client=client, model_id=model.model_id, attempt=None)
        return
    subject = _subject(plan, model.tags[TRAINED_KEY] if plan.keyed is None else plan.key)
    with tools.attempts.start(subject) as attempt:
        opened = OpenVerification(client=client, model_id=model.model_id, attempt=attempt)
        tags = {VERIFICATION: attempt.id}
        if plan.keyed is not None:
            tags = {**plan.job.lineage, TRAINED_KEY: plan.key, TRAINED_DIGEST: trained_digest(plan, files), **tags}
        try:
            # The store has no compare-and-set: `require_own` tells the one of two releases that was slower.
            if client.describe_model(model.model_id).tags.get(VERIFICATION) != model.tags.get(VERIFICATION):
                raise _taken(model.model_id)
            client.set_tags(SetTags(model_id=model.model_id, tags=tags))
            yield opened
        except BaseException as error:
            opened.give_up(error, tools)
            raise
        attempt.mark_closed()
    for killed in tools.attempts.abandoned(subject):  # no model is resumed for which they are needed
        killed.mark_closed()


def trained_digest(plan: VerificationPlan, files: Iterable[tuple[PurePosixPath, str]]) -> str:
    """Return the digest of what training wrote into a model, without the files that a release replaces or adds."""
    locked = plan.policy is RequirementsPolicy.LOCK
    replaced = {*model_files.UV_FILES, *(model_files.environment_files(plan.served) if locked else ())}
    return tree_digest(
        (path, digest) for path, digest in files if str(path) not in replaced and path.parts[0] != model_files.FOLDER
    )


def resumable(
    plan: VerificationPlan, models: Iterable[LoggedModelDescription], tools: Tools
) -> Iterator[LoggedModelDescription]:
    """
    Yield each finished model whose verification was interrupted, newest first.

    Of those that are not used a line is printed. A verification that was killed left the id of its attempt in the tag:
    only its own machine knows that it ended.
    """
    killed = {attempt.id for attempt in tools.attempts.abandoned(_subject(plan, plan.key))}
    for model in reversed(tuple(models)):
        state = model.tags.get(VERIFICATION, "")
        if model.status != "READY" or state == VERIFIED:
            continue
        if model.tags.get(RELEASE_KEY, plan.key) != plan.key:
            reason = "belongs to another release by now"
        elif state in {_INTERRUPTED, *killed}:
            yield model
            continue
        elif state == _REFUSED:
            reason = "was refused when it was verified"
        else:
            reason = "is being verified by another release, or was by one that was killed on another machine"
        tools.console.say(f"model {model.model_id}, trained from the same inputs, {reason}, so it is not used")


def _taken(model_id: str) -> ToolFailed:
    return ToolFailed(
        what=f"another release verifies the model {model_id} by now",
        why="only one may write into it",
        fix=step_call("release"),
    )


def _subject(plan: VerificationPlan, key: str) -> str:
    """The subject of these attempts. It is not the store, as for trainings, whose runs the next release closes."""
    return f"verification of {key} in {plan.job.store.uri}"
