"""SageMaker: names, the way back, serverless endpoints, and what is refused before anything is made."""

import json
from dataclasses import replace
from types import SimpleNamespace
from typing import Any, cast

import pytest

from mlflow_uv.command.errors import BadInput, NotServing, ToolFailed
from mlflow_uv.core.deploy.running import RUNNING
from mlflow_uv.core.release.record import Record
from mlflow_uv.core.security.serve_env import ServeVariables
from mlflow_uv.ops.deploy.removal import removable
from mlflow_uv.ops.deploy.rollout import plan_changes
from mlflow_uv.ops.deploy.sagemaker_models import SagemakerModels
from mlflow_uv.ops.deploy.target import NOT_DEPLOYED, require_own_model
from mlflow_uv.payloads.messages.platforms import AwsResult
from mlflow_uv.tools.cloud.aws import Aws, AwsRefused

from .platforms import REPOSITORY, SagemakerWorld, options_of, sagemaker_world
from .test_target import KILLED, begin, deploy, roll_out, runs
from .worlds import digest_of, tools_of_tests, wanted_version


def operations(world: SagemakerWorld) -> list[str]:
    """What was changed, in order."""
    return [name for name, _ in world.account.calls if not name.startswith(("describe_", "list_"))]


def test_a_new_version_is_a_variant_without_weight_and_returning_is_the_configuration_before() -> None:
    """
    No model and no configuration is deleted while the endpoint is there.
    """
    world = sagemaker_world()
    deploy(world, "1")
    before = world.account.endpoints["prod"].config
    target = begin(world.target(), wanted_version("2"), up_to="ask")
    weights = dict(world.account.endpoints["prod"].weights)

    target.undo()

    assert {"blue": 1.0, "green": 0.0} == weights
    assert before == world.account.endpoints["prod"].config
    assert [] == [name for name in operations(world) if name.startswith("delete_")]


def test_the_same_version_again_is_the_model_and_the_configuration_that_are_there() -> None:
    """
    They are named after their content.
    """
    world = sagemaker_world()
    for version in ("1", "2", "1", "2"):
        deploy(world, version)

    assert 2 == len(world.account.models)
    assert ("2", RUNNING, ()) == runs(world)


def test_an_image_elsewhere_is_copied_by_its_digest_and_one_in_ecr_is_not() -> None:
    """
    What runs is named by the digest of the record.
    """
    world, there = sagemaker_world(), sagemaker_world(repository=None)
    in_ecr = replace(wanted_version("1"), address=f"{REPOSITORY}@{digest_of('1')}")

    deploy(world, "1")
    begin(there.target(), in_ecr).settle()

    assert [(digest_of("1"), f"{REPOSITORY}@{digest_of('1')}")] == world.copied
    assert ([], f"{REPOSITORY}@{digest_of('1')}") == (there.copied, there.target().observe().facts["image"])


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"role": None}, "has no `role`"),
        ({"repository": None}, "is not in Amazon ECR"),
        ({"serverless_memory": 1024, "canary": "10"}, "runs one version at a time"),
        ({"serverless_memory": 1500}, r"multiples of 1024 MiB alone. Fix: serverless-memory = 2048"),
    ],
)
def test_what_is_missing_is_said_by_the_plan(settings: dict[str, Any], message: str) -> None:
    """
    Nothing is made.
    """
    world = sagemaker_world(**settings)

    with pytest.raises(BadInput, match=message):
        world.target().plan(wanted_version("1"))

    assert [] == operations(world)


def test_an_image_without_a_registry_is_refused() -> None:
    """
    SageMaker pulls it.
    """
    wanted = wanted_version("1")
    assert wanted.record.image is not None
    record = SimpleNamespace(image=replace(wanted.record.image, digest=""), model=wanted.record.model)

    with pytest.raises(BadInput, match="is in no registry"):
        sagemaker_world().target().plan(replace(wanted, record=cast("Record", record)))


def test_variables_are_only_given_in_the_clear_if_that_is_said() -> None:
    """
    Their names are facts, their values are not.
    """
    wanted = replace(wanted_version("1"), serve_env=ServeVariables({"GREETING": "good morning"}))
    open_world = sagemaker_world(plain_variables=True)

    with pytest.raises(BadInput, match="keeps the variables of a model in the clear"):
        sagemaker_world().target().plan(wanted)
    begin(open_world.target(), wanted).settle()

    (model,) = open_world.account.models.values()
    assert "good morning" == model["PrimaryContainer"]["Environment"]["GREETING"]
    assert wanted.serve_env.summary == open_world.target().observe().facts["variables"]
    assert "good morning" not in f"{open_world.target().observe()} {open_world.account.tags}"


def test_another_value_of_a_variable_is_a_change() -> None:
    """
    The plan says so without the value, and the model gets it.
    """
    world = sagemaker_world(plain_variables=True)
    kept, changed = (
        replace(wanted_version("1"), serve_env=ServeVariables({"GREETING": value})) for value in ("good day", "hello")
    )
    begin(world.target(), kept).settle()

    same, changes = world.target().plan(kept), world.target().plan(changed)
    begin(world.target(), changed).settle()

    assert ((), ["variables"]) == (same, [change.part for change in changes])
    assert "hello" not in str(changes)
    (variant,) = world.account.configs[world.account.endpoints["prod"].config]["ProductionVariants"]
    assert "hello" == world.account.models[variant["ModelName"]]["PrimaryContainer"]["Environment"]["GREETING"]


def test_traffic_that_the_platform_did_not_move_is_an_error_and_nothing_is_removed() -> None:
    """
    A version that answers as the one before gives no other sign of it.
    """
    world = sagemaker_world()
    deploy(world, "1")
    world.account.without_effect = frozenset({"update_endpoint_weights_and_capacities"})

    with pytest.raises(ToolFailed, match=r"was to get 100 % of the traffic: it has 0 %"):
        roll_out(world.target(), "2")

    assert ("1", RUNNING, ()) == runs(world)


@pytest.mark.parametrize("operation", ["list_models", "list_endpoint_configs", "describe_endpoint", "list_tags"])
def test_a_response_without_what_it_must_have_removes_nothing_and_ends_in_no_success(operation: str) -> None:
    """
    An empty list is written as one.
    """
    world = sagemaker_world()
    deploy(world, "1")
    world.account.without_effect = frozenset({operation})

    with pytest.raises(ToolFailed, match="AWS returned a response without"):
        world.target().remove()

    assert 1 == len(world.account.models)


def test_a_page_of_a_proxy_that_says_not_found_is_no_missing_endpoint() -> None:
    """
    SageMaker says that something is missing with codes of its own.
    """
    world = sagemaker_world()
    aws = cast("Aws", SimpleNamespace(try_call=lambda *_, **__: AwsResult(parts={}, code="404", message="Not Found")))
    models = SagemakerModels(options_of(world.settings), aws, tools_of_tests())

    with pytest.raises(AwsRefused, match="404: Not Found"):
        models.found("describe_endpoint", EndpointName="prod")


def test_a_serverless_endpoint_has_one_variant_and_returns_to_the_configuration_before() -> None:
    """
    The new version cannot be asked before it has the traffic, so the endpoint is asked after.
    """
    world = sagemaker_world(serverless_memory=2048)
    deploy(world, "1")
    before = world.account.endpoints["prod"].config
    world.plant("2", "wrong")

    done = roll_out(world.target(), "2")

    assert (True, before) == (done.returned, world.account.endpoints["prod"].config)
    deploy(world, "3")
    assert ("3", RUNNING, ()) == runs(world)


def test_a_serverless_version_that_does_not_start_leaves_the_one_before() -> None:
    """
    The service rolls back by itself, and its reason is shown.
    """
    world = sagemaker_world(serverless_memory=2048)
    deploy(world, "1")
    world.plant("2", "ends")

    with pytest.raises(NotServing, match="did not pass the ping health check"):
        roll_out(world.target(), "2")

    assert ("1", RUNNING, ()) == runs(world)


@pytest.mark.parametrize("serverless", [False, True])
def test_an_endpoint_does_not_get_servers_or_lose_them(serverless: bool) -> None:
    """
    There would be no way back, so the plan says it; SageMaker refuses it in the middle of a run.
    """
    world = sagemaker_world(**({"serverless_memory": 2048} if serverless else {}))
    deploy(world, "1")
    world.settings = replace(world.settings, serverless_memory=None if serverless else 2048)
    before = operations(world)

    with pytest.raises(BadInput, match=f"made with{'out' if serverless else ''} servers of its own"):
        world.target().plan(wanted_version("2"))

    assert before == operations(world)
    assert ("1", RUNNING, ()) == runs(world)


def test_memory_and_concurrency_are_those_of_the_settings() -> None:
    """
    A change of one is a difference of the plan, and a new configuration.
    """
    world = sagemaker_world(serverless_memory=2048, serverless_concurrency=7)
    deploy(world, "1")
    world.settings = replace(world.settings, serverless_concurrency=9)

    changes = [(change.part, change.now, change.then) for change in world.target().plan(wanted_version("1"))]
    deploy(world, "1")

    assert [("servers", "none, 2048 MiB, 7 at once", "none, 2048 MiB, 9 at once")] == changes
    limits = [part["ProductionVariants"][0]["ServerlessConfig"] for part in world.account.configs.values()]
    assert [{"MemorySizeInMB": 2048, "MaxConcurrency": number} for number in (7, 9)] == limits


def test_wrong_credentials_and_a_quota_are_the_words_of_the_service() -> None:
    """
    What ran before runs.
    """
    denied, full = sagemaker_world(), sagemaker_world(instances=3)
    denied.account.denied = True
    deploy(full, "1")

    with pytest.raises(ToolFailed, match=r"UnrecognizedClientException.*Fix: give this job credentials of AWS"):
        denied.target().observe()
    with pytest.raises(ToolFailed, match="ResourceLimitExceeded: The account-level service limit"):
        roll_out(full.target(), "2")

    assert ("1", RUNNING, ()) == runs(full)


def test_removal_deletes_what_belongs_to_the_endpoint_alone() -> None:
    """
    A model of another endpoint whose name contains this one's stays.
    """
    world, other = sagemaker_world(), sagemaker_world(prefix="the-")
    other.account = world.account
    deploy(world, "1")
    deploy(other, "2")

    world.target().remove()

    assert ["the-prod"] == list(world.account.endpoints)
    assert (1, 1) == (len(world.account.models), len(world.account.configs))
    assert ("2", RUNNING, ()) == runs(other)


def killed_removal(world: SagemakerWorld, *, configs: int) -> None:
    """What a run does that removes the deployment and is killed after it deleted some configurations."""
    world.account.call("delete_endpoint", {"EndpointName": "prod"})
    while world.target().observe() != NOT_DEPLOYED:  # a change of the stand-in ends when it is described
        pass
    ours = [name for name in world.account.configs if name.startswith("prod-")]
    for name in ours[:configs]:
        world.account.call("delete_endpoint_config", {"EndpointConfigName": name})


@pytest.mark.parametrize("configs", [0, 1, 9])
def test_what_a_killed_removal_left_is_removed_by_the_next_one(configs: int) -> None:
    """
    Nothing runs any more; what belongs to another deployment is not named.
    """
    world, other = sagemaker_world(), sagemaker_world(prefix="the-")
    other.account = world.account
    for version in ("1", "2"):
        deploy(world, version)
    deploy(other, "1")
    killed_removal(world, configs=configs)

    seen = removable(world.target())
    world.target().remove()

    assert (None, frozenset({"wine"})) == (seen.version, seen.models)
    assert not [name for name in seen.leftovers if "the-" in name]
    assert (NOT_DEPLOYED, NOT_DEPLOYED) == (world.target().observe(), removable(world.target()))
    assert (1, 1) == (len(world.account.models), len(world.account.configs))
    assert ("1", RUNNING, ()) == runs(other)


def test_models_of_another_model_that_a_killed_removal_left_are_not_removed() -> None:
    """
    A deployment of that name belongs to somebody else.
    """
    world = sagemaker_world()
    deploy(world, "1")
    killed_removal(world, configs=0)

    seen = removable(world.target(model="beer"))

    with pytest.raises(BadInput, match="wine"):
        require_own_model(options_of(world.settings, model="beer"), seen)


def test_an_endpoint_of_somebody_else_is_left_alone() -> None:
    """
    Its variants have other names, or its models no tag of this endpoint.
    """
    world = sagemaker_world()
    deploy(world, "1")
    world.account.tags.clear()

    for call in (lambda: world.target().plan(wanted_version("2")), world.target().remove):
        with pytest.raises(BadInput, match="was not made by `deploy`"):
            call()

    assert "prod" in world.account.endpoints


def test_long_names_and_facts_with_other_signs_fit_the_limits_of_the_service() -> None:
    """
    Names have at most 63 characters, and tags few signs; what is read back is what was written.
    """
    world = sagemaker_world(prefix="a-very-long-prefix-of-a-team")
    wanted = replace(wanted_version("1", model="wine, rouge & été @ 50%"))

    begin(world.target(), wanted).settle()

    assert "wine, rouge & été @ 50%" == world.target().observe().facts["model"]
    assert () == world.target().plan(wanted)


@pytest.mark.parametrize("version", ["2", "3"])
def test_a_serverless_endpoint_returns_to_the_proven_version_after_a_killed_run(version: str) -> None:
    """
    It runs one version at a time; the configuration before is kept.
    """
    world = sagemaker_world(serverless_memory=2048)
    deploy(world, "1")
    world.settings = replace(world.settings, serverless_memory=3072)
    begin(world.target(), wanted_version("2"))
    world.settings = replace(world.settings, serverless_memory=4096)
    target, wanted = world.target(), wanted_version(version)

    changes = plan_changes(target, wanted, KILLED, tools_of_tests())
    begin(target, wanted).undo()

    assert ("1", version) == next((change.now, change.then) for change in changes if change.part == "version")
    assert ("1", RUNNING, ()) == runs(world)
    assert "none, 2048 MiB" in world.target().observe().facts["servers"]


@pytest.mark.parametrize(
    "other",
    [
        {"DataCaptureConfig": {"EnableCapture": True, "DestinationS3Uri": "s3://theirs/requests"}},
        {"ProductionVariants": {"InstanceType": "ml.t2.medium"}},
        {"ProductionVariants": {"CoreDumpConfig": {"DestinationS3Uri": "s3://theirs/dumps"}}},
        {},
    ],
    ids=["capture", "servers", "dumps", "owner"],
)
def test_a_configuration_of_the_same_name_and_another_content_is_left_alone(other: dict[str, Any]) -> None:
    """
    Somebody created it, with something else or for another endpoint: another one is created.
    """
    world = sagemaker_world()
    deploy(world, "1")
    taken = world.account.endpoints["prod"].config
    deploy(world, "2")
    config = world.account.configs[taken]
    (variant,) = config["ProductionVariants"]
    config.update({**other, "ProductionVariants": [{**variant, **other.get("ProductionVariants", {})}]})
    if not other:
        world.account.tags[config["EndpointConfigArn"]] = [{"Key": "mlflow-uv:endpoint", "Value": "other"}]
    before = json.dumps(config)

    deploy(world, "1")

    used = world.account.configs[world.account.endpoints["prod"].config]
    assert ("1", RUNNING, ()) == runs(world)
    assert [variant] == used["ProductionVariants"]
    assert taken != used["EndpointConfigName"]
    assert before == json.dumps(world.account.configs[taken])


def test_two_deployments_whose_long_names_begin_alike_share_nothing() -> None:
    """
    The names of what belongs to them begin with the same part.
    """
    long = "a-very-long-prefix-of-a-team-that-has-many-more-words-"
    world, other = sagemaker_world(prefix=f"{long}a-"), sagemaker_world(prefix=f"{long}b-")
    other.account = world.account
    deploy(world, "1")
    deploy(other, "1")

    world.target().remove()

    assert ("1", RUNNING, ()) == runs(other)
    assert (1, 1, 1) == (len(world.account.endpoints), len(world.account.models), len(world.account.configs))


def test_what_the_plan_compares_is_what_the_servers_and_the_model_are_not_what_tags_say() -> None:
    """
    Somebody led the endpoint to other servers, or wrote other tags.
    """
    world = sagemaker_world()
    deploy(world, "1")
    config = world.account.configs[world.account.endpoints["prod"].config]
    config["ProductionVariants"][0]["InstanceType"] = "ml.t2.medium"
    (arn,) = [model["ModelArn"] for model in world.account.models.values()]
    tags = {"mlflow-uv:servers": "9 ml.c5.large", "mlflow-uv:role": "admin", "mlflow-uv:request timeout": "1 s"}
    world.account.call("add_tags", {"ResourceArn": arn, "Tags": [{"Key": k, "Value": v} for k, v in tags.items()]})

    changes = [(change.part, change.now) for change in world.target().plan(wanted_version("1"))]

    assert [("servers", "1 ml.t2.medium")] == changes
