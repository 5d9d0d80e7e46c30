"""Tests that a release resumes with a model only if its verification is known to have been interrupted."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from mlflow_uv.command.errors import ModelUnusable, NoSpace, StoreUnreachable, ToolFailed
from mlflow_uv.command.host import Host
from mlflow_uv.core.export.requirements import parse_requirements
from mlflow_uv.core.model import model_files
from mlflow_uv.ops.model.proof_plan import ProofPlan, RequirementsPolicy
from mlflow_uv.ops.model.resumption import VERIFIED, resumable, trained_digest, verification
from mlflow_uv.payloads.messages.models import LoggedModelDescription
from mlflow_uv.payloads.messages.registry import SetTags
from mlflow_uv.payloads.messages.tags import TRAINED_KEY, VERIFICATION
from mlflow_uv.tools.mlflow.attempts import Attempts
from mlflow_uv.tools.toolbox import Tools
from tests.messages import MODEL

KEY = "5" * 64


class FakeClient:
    """A store with one model, or one that does not answer from some moment on."""

    store = SimpleNamespace(uri="http://127.0.0.1:9")

    def __init__(self) -> None:
        self.tags: dict[str, str] = {}
        self.answers = True

    @property
    def model(self) -> LoggedModelDescription:
        """The model with its tags."""
        return replace(MODEL, tags=self.tags)

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
        self.plan = cast("ProofPlan", plan)
        self.logged.mkdir(parents=True)
        (self.logged / "MLmodel").write_text("flavors: {}")

    def verify(self, error: BaseException | None = None) -> None:
        """Verify the model, which ends with an error if there is one."""
        with verification(self.plan, self.client.model, self.logged, self.tools) as opened:
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


def test_a_killed_verification_is_resumed_on_its_own_machine_once(here: Machine, tmp_path: Path) -> None:
    """
    Elsewhere nobody can tell it from one that still runs.
    """
    with here.tools.attempts.start(f"verification of {KEY} in {here.client.store.uri}") as attempt:
        here.client.tags = {VERIFICATION: attempt.id}
        running = here.resumes()
    elsewhere = Machine(here.client, tmp_path / "elsewhere")

    assert (False, False, True) == (running, elsewhere.resumes(), here.resumes())
    reason = "is being verified by another machine, or was when that was killed"
    assert [f"model m-1, trained from the same inputs, {reason}, so it is not used"] == elsewhere.lines


def test_a_verification_that_could_not_say_how_it_ended_is_resumed_here(here: Machine) -> None:
    """
    Its server is gone, so the attempt stays, as after a kill.
    """
    opened = verification(here.plan, here.client.model, here.logged, here.tools)
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
    older = verification(here.plan, here.client.model, here.logged, here.tools)
    opened = older.__enter__()

    with verification(elsewhere.plan, here.client.model, elsewhere.logged, elsewhere.tools) as newer:
        with pytest.raises(ToolFailed, match="another release verifies the model m-1 by now") as lost:
            opened.require_own()
        newer.require_own()
        own = dict(here.client.tags)
        older.__exit__(ToolFailed, lost.value, None)

        assert own == here.client.tags


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
    before = trained_digest(here.plan, here.logged)
    (here.logged / "requirements.txt").write_text("a==1\n")
    (here.logged / "mlflow-uv").mkdir()
    (here.logged / "mlflow-uv" / "uv.lock").write_text("version = 1\n")
    after = trained_digest(here.plan, here.logged)
    (here.logged / "MLmodel").write_text("flavors: {python_function: {}}")

    assert before == after
    assert before != trained_digest(here.plan, here.logged)


def test_requirements_that_the_release_does_not_write_belong_to_the_training(here: Machine) -> None:
    """
    With `requirements: infer` MLflow's own are those of the model.
    """
    plan: Any = SimpleNamespace(policy=RequirementsPolicy.INFER, served=here.plan.served)
    before = trained_digest(plan, here.logged)
    (here.logged / "requirements.txt").write_text("a==2\n")

    assert before != trained_digest(plan, here.logged)
