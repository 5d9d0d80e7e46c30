"""SageMaker for transform jobs: which model is the one to use, what is deleted when, and what is refused."""

import json
from typing import Any

import pytest

from mlflow_uv.command.errors import BadInput, NotServing, ToolFailed
from mlflow_uv.core.deploy.platform_settings import SagemakerMode
from mlflow_uv.core.deploy.running import RUNNING

from .platforms import SagemakerWorld, batch_world, sagemaker_world
from .test_target import begin, deploy, roll_out, runs
from .worlds import wanted_version


def models(world: SagemakerWorld) -> list[str]:
    """The names of the models."""
    return list(world.account.models)


def start_job(world: SagemakerWorld, name: str, model: str) -> None:
    """Somebody starts a transform job, which does not end."""
    world.account.call(
        "create_transform_job",
        {
            "TransformJobName": name,
            "ModelName": model,
            "MaxConcurrentTransforms": 1,
            "MaxPayloadInMB": 6,
            "TransformInput": {"DataSource": {"S3DataSource": {"S3Uri": "s3://cellar/rows/"}}, "ContentType": "x"},
            "TransformOutput": {"S3OutputPath": "s3://cellar/out/"},
            "TransformResources": {"InstanceType": "ml.m5.large", "InstanceCount": 1},
            "Tags": [],
        },
    )


def test_the_address_is_the_model_that_jobs_name() -> None:
    """
    It is another one after an update, and the one before is gone.
    """
    world = batch_world()
    deploy(world, "1")
    first = world.target().observe().endpoint

    deploy(world, "2")

    (model,) = models(world)
    assert f"sagemaker:model/{model}" == world.target().observe().endpoint != first
    assert ({}, {}) == (world.account.endpoints, world.account.configs)


def test_a_right_version_is_tried_by_one_job_and_a_run_without_changes_tries_it_again() -> None:
    """
    Before it is chosen; the model does not change by that.
    """
    world = batch_world()
    target = world.target()
    done = roll_out(target, "1")
    target.settle()
    first = len(world.account.transforms.jobs)

    again = roll_out(world.target(), "1")

    assert ((), 1, 2) == (done.findings, first, len(world.account.transforms.jobs))
    assert done.answers == again.answers
    assert {} == world.account.transforms.storage.objects["cellar"]


@pytest.mark.parametrize(("fault", "error"), [("wrong", None), ("ends", NotServing), ("hangs", NotServing)])
def test_the_model_of_a_version_that_fails_is_deleted(fault: str, error: type[Exception] | None) -> None:
    """
    The one before stays the one to use, and a first one leaves nothing.
    """
    first, second = batch_world(), batch_world()
    deploy(second, "1")
    before = models(second)
    for world in (first, second):
        world.plant("2", fault)
        if error is None:
            assert ["answers-differ"] == [finding.rule for finding in roll_out(world.target(), "2").findings]
        else:
            with pytest.raises(error):
                roll_out(world.target(), "2")

    assert ([], before) == (models(first), models(second))
    assert ("1", RUNNING, ()) == runs(second)


def test_a_model_that_a_job_of_others_uses_is_deleted_by_a_later_run() -> None:
    """
    It counts as replaced, so it is neither what runs nor what an interrupted run left.
    """
    world = batch_world()
    deploy(world, "1")
    (used,) = models(world)
    start_job(world, "nightly", used)

    deploy(world, "2")
    kept = used in models(world)
    deploy(world, "3")
    world.account.transforms.jobs["nightly"]["TransformJobStatus"] = "Completed"
    deploy(world, "4")

    assert (True, False, 1) == (kept, used in models(world), len(models(world)))
    assert ("4", RUNNING, ()) == runs(world)


def test_a_version_whose_model_a_job_of_others_uses_is_deployed_again() -> None:
    """
    It was replaced, and is tried and chosen as a new one; the one that replaced it is deleted.
    """
    world = batch_world()
    deploy(world, "1")
    (used,) = models(world)
    start_job(world, "nightly", used)
    deploy(world, "2")

    deploy(world, "1")

    assert [used] == models(world)
    assert ("1", RUNNING, ()) == runs(world)
    assert f"sagemaker:model/{used}" == world.target().observe().endpoint


def test_a_model_that_is_used_again_is_not_chosen_before_it_was_tried() -> None:
    """
    A run that was killed chose it, and its number is higher than that of the version that runs.
    """
    world = batch_world()
    deploy(world, "1")
    before = set(models(world))
    begin(world.target(), wanted_version("2"), up_to="apply")
    (used,) = set(models(world)) - before
    start_job(world, "theirs", used)
    arn = world.account.models[used]["ModelArn"]
    marks = {"mlflow-uv:slot": "replaced", "mlflow-uv:chosen": "9"}
    world.account.call("add_tags", {"ResourceArn": arn, "Tags": [{"Key": k, "Value": v} for k, v in marks.items()]})

    target = begin(world.target(), wanted_version("2"), up_to="apply")
    tried = world.target().observe().version
    begin(target, wanted_version("2")).settle()

    assert ("1", "2") == (tried, world.target().observe().version)


@pytest.mark.parametrize("fact", ["Image", "Environment", "ModelDataUrl", "ExecutionRoleArn", "VpcConfig", "owner"])
def test_a_model_of_the_same_name_and_another_content_is_left_alone(fact: str) -> None:
    """
    Somebody created it again by hand: the version gets a model of another name.
    """
    world = batch_world()
    deploy(world, "1")
    (used,) = models(world)
    start_job(world, "nightly", used)
    deploy(world, "2")
    model = world.account.models[used]
    part = model if fact in ("ExecutionRoleArn", "VpcConfig") else model["PrimaryContainer"]
    if fact == "owner":
        world.account.tags[model["ModelArn"]] = []
    else:
        part[fact] = {"OTHER": "1"} if fact in ("Environment", "VpcConfig") else f"{part.get(fact, 's3://a/b')}0"
    before = json.dumps([model, world.account.tags[model["ModelArn"]]])

    deploy(world, "1")

    (chosen,) = set(models(world)) - {used}
    assert ("1", RUNNING) == runs(world)[:2]
    assert before == json.dumps([world.account.models[used], world.account.tags[model["ModelArn"]]])
    assert f"sagemaker:model/{chosen}" == world.target().observe().endpoint


@pytest.mark.parametrize("newer", ["first", "second"])
def test_of_two_models_with_the_same_number_one_is_taken_everywhere(newer: str) -> None:
    """
    Runs that chose at the same time wrote it; the next run chooses one of them, and deletes the other.
    """
    world = batch_world()
    deploy(world, "1")
    if newer == "second":
        deploy(world, "3")
    begin(world.target(), wanted_version("2"), up_to="apply")
    for model in list(world.account.models.values()):
        tag = {"Key": "mlflow-uv:chosen", "Value": "7"}
        world.account.call("add_tags", {"ResourceArn": model["ModelArn"], "Tags": [tag]})

    deployed = world.target().observe()
    assert deployed.endpoint is not None
    tags = {tag["Key"]: tag["Value"] for tag in world.account.tags[_arn_of(world, deployed.endpoint)]}
    assert deployed.version == tags["mlflow-uv:version"]

    for version in ("1", "2"):
        deploy(world, version)
        assert (1, version) == (len(models(world)), world.target().observe().version)


def test_a_model_that_another_run_made_in_the_same_slot_is_deleted() -> None:
    """
    Both runs saw the same slot free; the one with the higher number is the one to use.
    """
    world = batch_world()
    deploy(world, "1")
    (first,) = models(world)
    twin = {**world.account.models[first], "ModelName": f"{first}0", "ModelArn": "arn:twin"}
    world.account.models[f"{first}0"] = twin
    world.account.tags["arn:twin"] = [
        tag for tag in world.account.tags[world.account.models[first]["ModelArn"]] if tag["Key"] != "mlflow-uv:chosen"
    ]

    assert ("1", RUNNING, ()) == runs(world)
    assert f"sagemaker:model/{first}" == world.target().observe().endpoint
    deploy(world, "1")

    assert [first] == models(world)


def _arn_of(world: SagemakerWorld, address: str) -> str:
    return str(world.account.models[address.rpartition("/")[2]]["ModelArn"])


def test_a_deployment_whose_model_a_job_of_others_uses_is_not_removed() -> None:
    """
    Nothing is deleted before the job has ended.
    """
    world = batch_world()
    deploy(world, "1")
    start_job(world, "nightly", models(world)[0])

    with pytest.raises(ToolFailed, match="the transform job `nightly` uses the model"):
        world.target().remove()
    there = models(world)
    world.account.transforms.jobs["nightly"]["TransformJobStatus"] = "Stopped"
    world.target().remove()

    assert (1, []) == (len(there), models(world))


def test_a_job_of_a_run_that_was_killed_is_stopped() -> None:
    """
    It would use a model that the next run replaces.
    """
    world = batch_world()
    deploy(world, "1")
    before = set(models(world))
    begin(world.target(), wanted_version("2"), up_to="apply")
    (new,) = set(models(world)) - before
    start_job(world, "prod-killed", new)
    arn = world.account.transforms.jobs["prod-killed"]["TransformJobArn"]
    world.account.tags[arn] = [{"Key": "mlflow-uv:endpoint", "Value": "prod"}]

    deploy(world, "3")

    assert "Stopping" == world.account.transforms.jobs["prod-killed"]["TransformJobStatus"]
    assert ("3", RUNNING, ()) == runs(world)
    assert 1 == len(models(world))


def test_models_of_another_deployment_and_of_somebody_else_stay() -> None:
    """
    Their names contain the one of this deployment.
    """
    world, other = batch_world(), batch_world(prefix="the-")
    other.account = world.account
    deploy(other, "2")
    deploy(world, "1")
    theirs = {"ModelName": "prod-by-hand", "ModelArn": "arn:hand", "CreationTime": 1.0, "PrimaryContainer": {}}
    world.account.models["prod-by-hand"] = theirs
    deploy(world, "2")

    world.target().remove()

    assert {"prod-by-hand", other.target().observe().endpoint.rpartition("/")[2]} == set(models(world))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"transform_folder": None}, "has no `transform-folder`"),
        ({"serverless_memory": 1024}, "and `mode` is batch"),
        ({"canary": "10"}, "runs one version at a time"),
        ({"role": None}, "has no `role`"),
    ],
)
def test_settings_that_do_not_fit_are_refused_by_the_plan(settings: dict[str, Any], message: str) -> None:
    """
    Nothing is made.
    """
    world = batch_world(**settings)

    with pytest.raises(BadInput, match=message):
        world.target().plan(wanted_version("1"))

    assert [] == models(world)


def test_a_deployment_that_was_an_endpoint_is_removed_as_such_first() -> None:
    """
    It would cost money beside the model; as an endpoint, the models of both are deleted.
    """
    world = batch_world()
    deploy(world, "1")
    endpoint = sagemaker_world()
    endpoint.account = world.account
    deploy(endpoint, "1")

    for call in (lambda: world.target().plan(wanted_version("2")), world.target().observe, world.target().remove):
        with pytest.raises(BadInput, match="is an endpoint, and `mode` is batch"):
            call()
    endpoint.target().remove()

    assert (SagemakerMode.BATCH, [], {}) == (world.settings.mode, models(world), world.account.endpoints)


def test_a_model_that_somebody_deleted_is_an_error() -> None:
    """
    Nothing else is taken for it.
    """
    world = batch_world()
    target = begin(world.target(), wanted_version("1"), up_to="ask")
    world.account.models.clear()

    with pytest.raises(NotServing, match="its state is gone"):
        target.shift()
