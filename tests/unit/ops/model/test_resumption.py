"""Tests that a release resumes with a model only if its verification is known to have been interrupted."""

from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from mlflow_uv.command.errors import ModelUnusable, NoSpace, StoreUnreachable, ToolFailed
from mlflow_uv.command.host import Host
from mlflow_uv.core.export.requirements import parse_requirements
from mlflow_uv.core.model import model_files
from mlflow_uv.ops.model.resumption import VERIFIED, OpenVerification, resumable, trained_digest, verification
from mlflow_uv.ops.model.verification_plan import RequirementsPolicy, VerificationPlan
from mlflow_uv.payloads.messages.models import LoggedModelDescription
from mlflow_uv.payloads.messages.registry import SetTags
from mlflow_uv.payloads.messages.tags import RELEASE_KEY, TRAINED_KEY, VERIFICATION
from mlflow_uv.tools.mlflow.attempts import Attempts
from mlflow_uv.tools.system.content import digests_in
from mlflow_uv.tools.toolbox import Tools
from tests.messages import MODEL

KEY = "5" * 64
SUBJECT = f"verification of {KEY} in http://127.0.0.1:9"


class FakeClient:
    """A store with one model, or one that does not answer from some moment on."""

    store = SimpleNamespace(uri="http://127.0.0.1:9")

    def __init__(self) -> None:
        self.tags: dict[str, str] = {}
        self.answers = True

    @property
    def model(self) -> LoggedModelDescription:
        """The model with its tags."""
        return replace(MODEL, tags=dict(self.tags))

    def describe_model(self, model_id: str) -> LoggedModelDescription:
        """See StoreClient."""
        self._ask(model_id)
        return self.model

    def set_tags(self, request: SetTags) -> None:
        """See StoreClient."""
        self._ask(str(request.model_id))
        self.tags |= request.tags

    def _ask(self, model_id: str) -> None:
        assert MODEL.model_id == model_id
        if not self.answers:
            raise StoreUnreachable(what="no server answers", why="", fix="")


class Machine:
    """A machine with a plan of the release, its attempts and what it printed; `logged` are the files of the model."""

    def __init__(self, client: FakeClient, folder: Path) -> None:
        self.client, self.logged, self.lines = client, folder / "logged", list[str]()
        attempts = Attempts(cast("Host", SimpleNamespace(state=folder)))
        console = SimpleNamespace(say=self.lines.append)
        self.tools = cast("Tools", SimpleNamespace(attempts=attempts, console=console))
        job = SimpleNamespace(client=client, store=client.store, lineage={"mlflow-uv.commit": "a1"})
        served = model_files.ServedFiles(requirements=parse_requirements("a==1\n"), wheels=(), python="3.11")
        plan: Any = SimpleNamespace(job=job, key=KEY, keyed=object(), policy=RequirementsPolicy.LOCK, served=served)
        self.plan = cast("VerificationPlan", plan)
        adopting: Any = SimpleNamespace(job=job, key="6" * 64, keyed=None)
        self.adopting = cast("VerificationPlan", adopting)
        self.logged.mkdir(parents=True)
        (self.logged / "MLmodel").write_text("flavors: {}")

    def verification(
        self, *, model: LoggedModelDescription | None = None, plan: VerificationPlan | None = None
    ) -> AbstractContextManager[OpenVerification]:
        """The verification of the model, or as it was described earlier, for the plan or another."""
        return verification(plan or self.plan, model or self.client.model, digests_in(self.logged), self.tools)

    def attempts(self) -> int:
        """How many attempts of killed verifications are known."""
        return len(tuple(self.tools.attempts.abandoned(SUBJECT)))

    def verify(self, error: BaseException | None = None) -> None:
        """Verify the model, which ends with an error if there is one."""
        with self.verification() as opened:
            opened.require_own()
            if error is not None:
                raise error

    def resumes(self) -> bool:
        """Whether a release that starts here now resumes with the model."""
        return bool(tuple(resumable(self.plan, [self.client.model], self.tools)))


@pytest.fixture
def here(tmp_path: Path) -> Machine:
    """A machine."""
    return Machine(FakeClient(), tmp_path / "here")


FAILED: Mapping[str, str] = {"what": "x", "why": "", "fix": ""}


@pytest.mark.parametrize("error", [KeyboardInterrupt(), NoSpace(**FAILED), StoreUnreachable(**FAILED)])
def test_an_interrupted_verification_is_resumed_on_any_machine(
    here: Machine, tmp_path: Path, error: BaseException
) -> None:
    """
    What interrupted it says nothing about the model.
    """
    with pytest.raises(type(error)):
        here.verify(error)

    elsewhere = Machine(here.client, tmp_path / "elsewhere")
    assert (KEY, True, []) == (here.client.tags[TRAINED_KEY], elsewhere.resumes(), elsewhere.lines)


def test_a_model_that_was_refused_is_trained_again(here: Machine) -> None:
    """
    What the model lacks it would lack again, if it is of data that nobody compares.
    """
    with pytest.raises(ModelUnusable):
        here.verify(ModelUnusable(**FAILED))

    assert not here.resumes()
    assert [
        "model m-1, trained from the same inputs, was refused when it was verified, so it is not used"
    ] == here.lines


def test_a_killed_verification_is_resumed_on_its_own_machine(here: Machine, tmp_path: Path) -> None:
    """
    Elsewhere nobody can tell it from one that still runs.
    """
    with here.tools.attempts.start(SUBJECT) as attempt:
        here.client.tags = {VERIFICATION: attempt.id}
        running = here.resumes()
    elsewhere = Machine(here.client, tmp_path / "elsewhere")

    assert (False, False, True) == (running, elsewhere.resumes(), here.resumes())
    reason = "is being verified by another release, or was by one that was killed on another machine"
    assert [f"model m-1, trained from the same inputs, {reason}, so it is not used"] == elsewhere.lines


def test_a_verification_that_could_not_say_how_it_ended_is_resumed_here(here: Machine) -> None:
    """
    Its server is gone, so the attempt stays, as after a kill.
    """
    opened = here.verification()
    opened.__enter__()
    here.client.answers = False

    error = StoreUnreachable(**FAILED)
    assert not opened.__exit__(type(error), error, None)
    here.client.answers = True

    assert here.resumes()
    assert "how the verification of m-1 ended could not be recorded: no server answers" in here.lines[0]


def test_of_two_machines_that_resume_one_writes(here: Machine, tmp_path: Path) -> None:
    """
    The one that the tag names; the other ends, and leaves the tag alone.
    """
    elsewhere = Machine(here.client, tmp_path / "elsewhere")
    older = here.verification()
    opened = older.__enter__()

    with elsewhere.verification() as newer:
        with pytest.raises(ToolFailed, match="another release verifies the model m-1 by now") as lost:
            opened.require_own()
        newer.require_own()
        own = dict(here.client.tags)
        older.__exit__(ToolFailed, lost.value, None)

        assert own == here.client.tags


def test_who_read_the_tag_before_another_release_took_the_model_leaves_it_alone(here: Machine, tmp_path: Path) -> None:
    """
    Between the search for a model and its verification it may be downloaded for minutes.
    """
    here.client.tags = {TRAINED_KEY: KEY, VERIFICATION: "interrupted"}
    elsewhere, found = Machine(here.client, tmp_path / "elsewhere"), here.client.model

    with elsewhere.verification(model=found):
        own = dict(here.client.tags)
        with pytest.raises(ToolFailed, match="another release verifies the model m-1 by now"):
            here.verification(model=found).__enter__()

        assert own == here.client.tags


def test_who_is_killed_before_it_took_the_model_is_resumed_again(here: Machine) -> None:
    """
    It is downloaded between the two. Once a verification ended, nothing is kept of those before it.
    """
    with here.tools.attempts.start(SUBJECT) as attempt:
        here.client.tags = {TRAINED_KEY: KEY, VERIFICATION: attempt.id}
    found = here.resumes(), here.resumes(), here.attempts()

    here.verify()

    assert ((True, True, 1), 0) == (found, here.attempts())


def test_a_model_that_another_release_adopted_is_not_resumed(here: Machine) -> None:
    """
    It may have a version with the answers of that release, and resuming writes into it.
    """
    here.client.tags = {TRAINED_KEY: KEY, VERIFICATION: "interrupted", RELEASE_KEY: "6" * 64}

    assert not here.resumes()
    assert [
        "model m-1, trained from the same inputs, belongs to another release by now, so it is not used"
    ] == here.lines


def test_who_adopts_a_trained_model_takes_it_from_who_verifies_it(here: Machine) -> None:
    """
    The adopted model is not called trained with the key of who adopts it; one that no release trained gets no tags.
    """
    with here.verification() as trained:
        before = dict(here.client.tags)
        with here.verification(plan=here.adopting) as adopted:
            adopted.require_own()
            with pytest.raises(ToolFailed, match="another release verifies the model m-1 by now") as lost:
                trained.require_own()
        changed = {key for key, value in here.client.tags.items() if before.get(key) != value}
    here.client.tags = {}
    with here.verification(plan=here.adopting) as untrained:
        untrained.require_own()

    assert ({VERIFICATION}, {}) == (changed, here.client.tags), lost.value


@pytest.mark.parametrize(
    ("tags", "status"), [({VERIFICATION: VERIFIED}, "READY"), ({VERIFICATION: "interrupted"}, "FAILED")]
)
def test_what_is_verified_or_unfinished_is_not_resumed(here: Machine, tags: dict[str, str], status: str) -> None:
    """
    A verified model that was changed since must not be verified anew.
    """
    model = replace(MODEL, tags=tags, status=status)

    assert [] == list(resumable(here.plan, [model], here.tools))


def test_the_digest_of_a_training_is_that_of_what_it_wrote(here: Machine) -> None:
    """
    A release that was interrupted may have written its own files, or some of them; any other change counts.
    """
    before = trained_digest(here.plan, digests_in(here.logged))
    (here.logged / "requirements.txt").write_text("a==1\n")
    (here.logged / "mlflow-uv").mkdir()
    (here.logged / "mlflow-uv" / "uv.lock").write_text("version = 1\n")
    after = trained_digest(here.plan, digests_in(here.logged))
    (here.logged / "MLmodel").write_text("flavors: {python_function: {}}")

    assert before == after
    assert before != trained_digest(here.plan, digests_in(here.logged))


def test_requirements_that_the_release_does_not_write_belong_to_the_training(here: Machine) -> None:
    """
    With `requirements: infer` MLflow's own are those of the model.
    """
    plan: Any = SimpleNamespace(policy=RequirementsPolicy.INFER, served=here.plan.served)
    before = trained_digest(plan, digests_in(here.logged))
    (here.logged / "requirements.txt").write_text("a==2\n")

    assert before != trained_digest(plan, digests_in(here.logged))
