"""Marks a trained model while it is verified, so that the release after one that was interrupted resumes with it."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from ...command.errors import NoSpace, StepError, StoreUnreachable, ToolFailed
from ...command.wording import step_call
from ...core.model import model_files
from ...core.release.digests import tree_digest
from ...payloads.messages.lazy_dataclass import lazy_dataclass
from ...payloads.messages.models import LoggedModelDescription
from ...payloads.messages.registry import SetTags
from ...payloads.messages.tags import TRAINED_DIGEST, TRAINED_KEY, VERIFICATION
from ...tools.mlflow.attempts import Attempt
from ...tools.mlflow.store_client import StoreClient
from ...tools.system.content import digests_in
from ...tools.toolbox import Tools
from .proof_plan import ProofPlan, RequirementsPolicy

# Values of the tag VERIFICATION, beside the id of the attempt that verifies the model.
_INTERRUPTED, _REFUSED, VERIFIED = "interrupted", "refused", "verified"


@lazy_dataclass
class OpenVerification:
    """The verification of a model by this process; without an attempt for an adopted model, which has no tags of it."""

    client: StoreClient
    model_id: str
    attempt: Attempt | None

    def refuse(self) -> None:
        """Record that the verification found an error in the model, so that no later release resumes with it."""
        if self.attempt is not None:
            self._settle(_REFUSED)

    def require_own(self) -> None:
        """Raise ToolFailed if another machine resumed with this model meanwhile; called before files are written."""
        if self.attempt is None:
            return
        if not self._is_own(self.attempt):
            raise ToolFailed(
                what=f"another release verifies the model {self.model_id} by now",
                why="both resumed with it, and only one may write into it",
                fix=step_call("release"),
            )

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
    plan: ProofPlan, model: LoggedModelDescription, logged: Path, tools: Tools
) -> Iterator[OpenVerification]:
    """
    Tag a model as trained, and as being verified by this process, while the block runs; `logged` are its files.

    Call it after the inputs were compared with those before training, which the tags claim. An adopted model gets none.
    """
    client = plan.job.client
    if plan.keyed is None:
        yield OpenVerification(client=client, model_id=model.model_id, attempt=None)
        return
    with tools.attempts.start(_subject(plan)) as attempt:
        opened = OpenVerification(client=client, model_id=model.model_id, attempt=attempt)
        tags = {TRAINED_KEY: plan.key, TRAINED_DIGEST: trained_digest(plan, logged), VERIFICATION: attempt.id}
        try:
            client.set_tags(SetTags(model_id=model.model_id, tags={**plan.job.lineage, **tags}))
            yield opened
        except BaseException as error:
            opened.give_up(error, tools)
            raise
        attempt.mark_closed()


def trained_digest(plan: ProofPlan, folder: Path) -> str:
    """Return the digest of what training wrote into a model, without the files that a release replaces or adds."""
    locked = plan.policy is RequirementsPolicy.LOCK
    replaced = {*model_files.UV_FILES, *(model_files.environment_files(plan.served) if locked else ())}
    return tree_digest(
        (path, digest)
        for path, digest in digests_in(folder)
        if str(path) not in replaced and path.parts[0] != model_files.FOLDER
    )


def resumable(
    plan: ProofPlan, models: Iterable[LoggedModelDescription], tools: Tools
) -> Iterator[LoggedModelDescription]:
    """
    Yield each finished model whose verification was interrupted, newest first.

    Of those that were refused, and those that may still be verified, a line is printed. A verification that was killed
    left the id of its attempt in the tag: only its own machine knows that it ended.
    """
    killed = _closed_attempts(plan, tools)
    for model in reversed(tuple(models)):
        state = model.tags.get(VERIFICATION, "")
        if model.status != "READY" or state == VERIFIED:
            continue
        if state in (_INTERRUPTED, *killed):
            yield model
            continue
        reason = (
            "was refused when it was verified"
            if state == _REFUSED
            else "is being verified by another machine, or was when that was killed"
        )
        tools.console.say(f"model {model.model_id}, trained from the same inputs, {reason}, so it is not used")


def _closed_attempts(plan: ProofPlan, tools: Tools) -> tuple[str, ...]:
    """Close the attempts of verifications that were killed on this machine, and return their ids."""
    closed = []
    for attempt in tools.attempts.abandoned(_subject(plan)):
        closed.append(attempt.id)
        attempt.mark_closed()
    return tuple(closed)


def _subject(plan: ProofPlan) -> str:
    """The subject of these attempts. It is not the store, as for trainings, whose runs the next release closes."""
    return f"verification of {plan.key} in {plan.job.store.uri}"
