"""A job that asks a model: what it is given, what it leaves, and how it fails."""

from collections.abc import Callable
from typing import Any

import pytest

from mlflow_uv.command.errors import Cancelled, NotServing, StepError
from mlflow_uv.ops.deploy.sagemaker_models import SagemakerModels
from mlflow_uv.ops.deploy.sagemaker_trial import TriedModel
from mlflow_uv.tools.mlflow.model_requests import ModelRequest

from .platforms import KeptAws, SagemakerWorld, batch_world, options_of
from .test_target import begin
from .worlds import tools_of_tests, wanted_version

REQUESTS = tuple(
    ModelRequest(method="POST", path="/invocations", body=f'{{"inputs": [{number}]}}'.encode(), timeout_s=60)
    for number in range(12)
)


def tried(world: SagemakerWorld, *, wait: Callable[[float], None] | None = None) -> TriedModel:
    """The model of a version that was just created."""
    if not world.account.models:
        begin(world.target(), wanted_version("1"), up_to="apply")
    aws, tools = KeptAws(world.account), tools_of_tests()
    if wait is not None:
        tools.clock.wait = wait  # type: ignore[assignment,method-assign]  # the clock of the tests
    (model,) = world.account.models
    return TriedModel(SagemakerModels(options_of(world.settings), aws, tools), aws, tools, model, 8)


def stored(world: SagemakerWorld) -> dict[str, bytes]:
    """What is in the bucket."""
    return world.account.transforms.storage.objects["cellar"]


@pytest.mark.parametrize("nested", [False, True])
def test_each_request_is_an_object_and_each_answer_is_that_of_its_request(nested: bool) -> None:
    """
    All are in one job, in whose place nothing is left; wherever the service puts an answer below its folder.
    """
    world = batch_world()
    world.account.transforms.nested = nested
    model = tried(world)

    replies = model.send_all(REQUESTS)

    assert [f'{{"predictions": [{2 * number}]}}' for number in range(12)] == [r.body for r in replies if r is not None]
    (job,) = world.account.transforms.jobs.values()
    assert ("None", "None", 6) == (
        job["TransformInput"]["SplitType"],
        job["TransformOutput"]["AssembleWith"],
        job["MaxPayloadInMB"],
    )
    assert (24, {}) == (len(world.account.transforms.storage.written), stored(world))


def test_the_same_requests_are_sent_once() -> None:
    """
    The model is named after its content, and a job takes minutes.
    """
    world = batch_world()
    model = tried(world)

    first, second = model.send_all(REQUESTS), model.send_all(REQUESTS)
    other = model.send(REQUESTS[3])

    assert (first, 2) == (second, len(world.account.transforms.jobs))
    assert other == first[3]


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        ("ends", "status Failed: AlgorithmError: See job logs.*Fix: see the streams prod-"),
        ("hangs", "still runs after 8 s: its status is InProgress.*--deadline"),
        ("mute", "wrote no answer to request 1"),
    ],
)
def test_a_job_that_fails_hangs_or_answers_nothing_is_an_error(fault: str, message: str) -> None:
    """
    The requests are deleted, and no job of the run goes on.
    """
    world = batch_world()
    model = tried(world)
    world.plant("1", fault)

    with pytest.raises(NotServing, match=message):
        model.send_all(REQUESTS[:2])

    assert {} == stored(world)
    assert "InProgress" not in [job["TransformJobStatus"] for job in world.account.transforms.jobs.values()]


def test_a_request_that_the_model_refuses_fails_the_whole_job() -> None:
    """
    There is no status of its own for it.
    """
    world = batch_world()
    refused = ModelRequest(method="POST", path="/invocations", body=b"no json", timeout_s=60)

    with pytest.raises(NotServing, match="ClientError: See job logs"):
        tried(world).send_all((*REQUESTS[:2], refused))


def test_a_cancelled_run_stops_its_job() -> None:
    """
    It would cost money, and its answers would come to nobody.
    """
    world = batch_world()

    def cancelled(_: float) -> None:
        raise Cancelled

    with pytest.raises(Cancelled):
        tried(world, wait=cancelled).send_all(REQUESTS[:2])

    assert ["Stopping"] == [job["TransformJobStatus"] for job in world.account.transforms.jobs.values()]
    assert {} == stored(world)


def test_answers_of_a_run_that_was_killed_are_not_taken_for_those_of_this_one() -> None:
    """
    Whatever it left is deleted before.
    """
    world = batch_world()
    stored(world)["trials/mlflow-uv-trials/prod/prod-0/answers/00001.json.out"] = b'{"predictions": [0]}'
    others = {"trials/mlflow-uv-trials/prod-2/x": b"of another deployment", "trials/prod/x": b"of somebody else"}
    stored(world).update(others)

    (reply,) = tried(world).send_all(REQUESTS[1:2])

    assert reply is not None
    assert ('{"predictions": [2]}', others) == (reply.body, stored(world))


@pytest.mark.parametrize(
    ("denied", "message"),
    [
        ({"put_object"}, "AWS denies `put_object`"),
        ({"get_object"}, "AWS denies `get_object`"),
        ({"list_objects_v2"}, "AWS denies `list_objects_v2`"),
    ],
)
def test_a_right_that_is_missing_in_s3_is_named(denied: set[str], message: str) -> None:
    """
    Whichever it is.
    """
    world = batch_world()
    model = tried(world)
    world.account.transforms.storage.denied = frozenset(denied)

    with pytest.raises(StepError, match=message):
        model.send_all(REQUESTS[:1])


def test_requests_that_cannot_be_deleted_are_said() -> None:
    """
    The answers count.
    """
    world = batch_world()
    model = tried(world)
    world.account.transforms.storage.denied = frozenset({"delete_object"})

    replies = model.send_all(REQUESTS[:1])

    console: Any = model._tools.console
    assert 1 == len(replies)
    assert "are not deleted: AWS denies `delete_object`" in "".join(console.lines)
