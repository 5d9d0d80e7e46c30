"""Azure Machine Learning: what is sent, what is refused by the plan, and what a failure says."""

from dataclasses import replace
from types import SimpleNamespace
from typing import Any, cast

import pytest

from mlflow_uv.command.errors import BadInput, LoginRefused, NotServing, ToolFailed
from mlflow_uv.core.deploy.running import RUNNING
from mlflow_uv.core.release.record import Record
from mlflow_uv.core.security.serve_env import ServeVariables
from mlflow_uv.ops.deploy.target import MirroredTraffic
from tests.stand_ins.azure import KEY, TOKEN

from .platforms import AZURE_LOGIN, azure_world
from .test_target import begin, deploy, roll_out, runs
from .worlds import digest_of, wanted_version


def test_a_new_deployment_has_no_traffic_until_it_was_asked() -> None:
    """
    It runs the image by its digest, with the routes of our server.
    """
    world = azure_world()
    deploy(world, "1")

    begin(world.target(), wanted_version("2"), up_to="ask")

    assert {"blue": 100} == world.workspace.endpoints["prod"]["properties"]["traffic"]
    images = [part["properties"]["image"] for part in world.workspace.environments.values()]
    assert [digest_of("1"), digest_of("2")] == images
    (environment, _) = world.workspace.environments.values()
    assert "/invocations" == environment["properties"]["inferenceConfig"]["scoringRoute"]["path"]


def test_the_traffic_is_away_from_a_deployment_before_it_is_deleted() -> None:
    """
    Azure refuses to delete one that has some.
    """
    world = azure_world()
    for version in ("1", "2", "3"):
        deploy(world, version)

    assert ["prod/blue"] == list(world.workspace.deployments)
    assert ("3", RUNNING, ()) == runs(world)


def test_a_deployment_that_failed_says_the_last_line_of_its_log() -> None:
    """
    The next run replaces what it left.
    """
    world = azure_world()
    deploy(world, "1")
    world.plant("2", "ends")

    with pytest.raises(NotServing, match="RuntimeError: no model"):
        begin(world.target(), wanted_version("2"), up_to="wait")
    deploy(world, "3")

    assert ("3", RUNNING, ()) == runs(world)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"workspace": None}, "has no `workspace`"),
        ({"prefix": "the-wines-of-the-whole-world-x"}, "at most 32 characters"),
    ],
)
def test_settings_that_azure_cannot_take_are_refused_by_the_plan(settings: dict[str, Any], message: str) -> None:
    """
    Nothing is sent.
    """
    world = azure_world(**settings)

    with pytest.raises(BadInput, match=message):
        world.target().plan(wanted_version("1"))

    assert [] == world.workspace.requests


def test_an_image_without_a_registry_and_variables_in_the_clear_are_refused() -> None:
    """
    The values are neither facts nor in a message.
    """
    wanted = wanted_version("1")
    assert wanted.record.image is not None
    record = SimpleNamespace(image=replace(wanted.record.image, digest=""), model=wanted.record.model)
    secret = replace(wanted, serve_env=ServeVariables({"GREETING": "good morning"}))

    with pytest.raises(BadInput, match="is in no registry"):
        azure_world().target().plan(replace(wanted, record=cast("Record", record)))
    with pytest.raises(BadInput, match="keeps the variables of a model in the clear"):
        azure_world().target().plan(secret)
    world = azure_world(plain_variables=True)
    begin(world.target(), secret).settle()

    variables = world.workspace.deployments["prod/blue"]["properties"]["environmentVariables"]
    assert {"GREETING": "good morning", "REQUEST_TIMEOUT": "60"} == variables
    assert "good morning" not in f"{world.target().observe()}"


def test_wrong_credentials_and_a_quota_are_the_words_of_azure() -> None:
    """
    What ran before runs, and no secret is in the message.
    """
    denied, full = azure_world(), azure_world(instances=3)
    denied.workspace.refused = True
    deploy(full, "1")

    with pytest.raises(LoginRefused, match="Azure does not accept the login: status 401, invalid_client") as caught:
        denied.target().observe()
    with pytest.raises(ToolFailed, match="OutOfQuota: Not enough quota"):
        roll_out(full.target(), "2")

    assert ("1", RUNNING, ()) == runs(full)
    for secret in (AZURE_LOGIN["AZURE_CLIENT_SECRET"], TOKEN, KEY):
        assert secret not in f"{caught.value.text} {full.workspace.requests}"


def test_an_endpoint_of_somebody_else_is_left_alone() -> None:
    """
    It has no tag of this program, or deployments of other names.
    """
    tags, names = azure_world(), azure_world()
    deploy(tags, "1")
    deploy(names, "1")
    tags.workspace.endpoints["prod"]["tags"] = {}
    names.workspace.deployments["prod/blue"]["name"] = "production"

    for world in (tags, names):
        with pytest.raises(BadInput, match="was not made by `deploy`"):
            world.target().plan(wanted_version("2"))
        with pytest.raises(BadInput, match="was not made by `deploy`"):
            world.target().remove()
        assert "prod" in world.workspace.endpoints


def test_copies_of_requests_go_to_a_version_before_it_gets_any() -> None:
    """
    They end with the first share of the traffic; a first version gets none.
    """
    world = azure_world(mirror=20, mirror_seconds=5.0)

    first = roll_out(world.target(), wanted_version("1"))
    begun = [mirrored for mirrored in world.workspace.mirrored if mirrored]
    second = roll_out(world.target(), wanted_version("2"))

    assert ((), (), []) == (first.findings, second.findings, begun)
    assert [{"green": 20}, {}] == world.workspace.mirrored[-2:]
    assert 100 == world.workspace.endpoints["prod"]["properties"]["traffic"]["green"]


@pytest.mark.parametrize("killed", [False, True])
def test_copies_end_when_a_version_is_taken_back(killed: bool) -> None:
    """
    Azure does not delete a deployment that gets copies; the next run ends those of a run that was killed.
    """
    world = azure_world(mirror=20)
    deploy(world, "1")
    target = begin(world.target(), wanted_version("2"), up_to="ask")
    assert isinstance(target, MirroredTraffic)
    assert 300 == target.mirror()

    if killed:
        deploy(world, "3")
    else:
        target.undo()
        world.target().settle()

    assert {} == world.workspace.mirrored[-1]
    assert ("3" if killed else "1", RUNNING, ()) == runs(world)


def test_a_version_that_differs_while_it_gets_copies_gets_no_traffic() -> None:
    """
    It was right when it was asked first.
    """
    world = azure_world(mirror=20, mirror_seconds=30.0)
    deploy(world, "1")
    target = world.target()
    assert isinstance(target, MirroredTraffic)
    mirror = target.mirror

    class Turning(type(target)):  # type: ignore[misc]  # the class of the target
        def mirror(self) -> float:
            world.plant("2", "wrong")
            return mirror()

    target.__class__ = Turning
    rollout = roll_out(target, wanted_version("2"))

    assert (["answers-differ"], True) == ([finding.rule for finding in rollout.findings], rollout.returned)
    assert ("1", RUNNING, ()) == runs(world)


@pytest.mark.parametrize("part", ["image", "inferenceConfig"])
def test_an_environment_of_the_same_name_and_another_content_is_left_alone(part: str) -> None:
    """
    Somebody made it; the version gets one of another name, with its image and routes.
    """
    world, other = azure_world(), azure_world()
    deploy(world, "1")
    ((place, environment),) = world.workspace.environments.items()
    theirs = {**environment["properties"], part: "theirs" if part == "image" else {"scoringRoute": {"path": "/score"}}}
    other.workspace.environments[place] = {"properties": theirs}

    deploy(other, "1")

    used = other.workspace.deployments["prod/blue"]["properties"]["environmentId"]
    assert ("1", RUNNING, ()) == runs(other)
    assert environment == next(part for name, part in other.workspace.environments.items() if used.endswith(name))
    assert theirs == other.workspace.environments[place]["properties"]


def test_a_deployment_that_somebody_made_on_our_endpoint_is_neither_replaced_nor_removed() -> None:
    """
    It has one of our names, and no tag of a version.
    """
    world = azure_world()
    deploy(world, "1")
    world.workspace.deployments["prod/green"] = {
        **world.workspace.deployments["prod/blue"],
        "name": "green",
        "tags": {},
    }

    for call in (lambda: world.target().plan(wanted_version("2")), world.target().remove):
        with pytest.raises(BadInput, match="was not made by `deploy`"):
            call()

    assert {"prod/blue", "prod/green"} == set(world.workspace.deployments)


GREETING = ServeVariables({"GREETING": "good morning", "AML_LANGUAGE": "en"})
CHANGED: dict[str, tuple[tuple[str, ...], Any, str, str]] = {
    "servers": (("sku", "capacity"), 1, "1 Standard_DS3_v2", "2 Standard_DS3_v2"),
    "servers of another type": (("properties", "instanceType"), "Standard_F2s", "2 Standard_F2s", "2 Standard_DS3_v2"),
    "request timeout": (
        ("properties", "requestSettings", "requestTimeout"), "PT5S", "90 s, Azure's is PT5S", "90 s",
    ),
    "request timeout of the server": (
        ("properties", "environmentVariables", "REQUEST_TIMEOUT"), "5", "5 s, Azure's is PT1M30S", "90 s",
    ),
    "variables": (
        ("properties", "environmentVariables", "GREETING"), "good night",
        ServeVariables({**GREETING.variables, "GREETING": "good night"}).summary, GREETING.summary,
    ),
    "variables and one that only begins as those of Azure": (
        ("properties", "environmentVariables", "AML_LANGUAGE"), "de",
        ServeVariables({**GREETING.variables, "AML_LANGUAGE": "de"}).summary, GREETING.summary,
    ),
    "variables and one that the server reads": (
        ("properties", "environmentVariables", "AZUREML_MODEL_DIR"), "/elsewhere",
        ServeVariables({**GREETING.variables, "AZUREML_MODEL_DIR": "/elsewhere"}).summary, GREETING.summary,
    ),
    "variables and one more": (
        ("properties", "environmentVariables", "EXTRA"), "more",
        ServeVariables({**GREETING.variables, "EXTRA": "more"}).summary, GREETING.summary,
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", CHANGED)
def test_what_somebody_changed_in_the_portal_is_a_difference_and_is_put_right(case: str) -> None:
    """
    The tags still say what was deployed; what the service returns is compared. What Azure adds itself is none.
    """
    place, value, now, then = CHANGED[case]
    world = azure_world(plain_variables=True, instances=2)
    wanted = replace(wanted_version("1"), serve_env=GREETING)
    roll_out(world.target(answer_s=90), wanted)
    unchanged = world.target(answer_s=90).plan(wanted)
    part: Any = world.workspace.deployments["prod/blue"]
    for name in place[:-1]:
        part = part[name]
    part[place[-1]] = value

    planned = [(change.part, change.now, change.then) for change in world.target(answer_s=90).plan(wanted)]
    target = world.target(answer_s=90)
    roll_out(target, wanted)
    target.settle()

    assert ((), [(case.partition(" of ")[0].partition(" and ")[0], now, then)]) == (unchanged, planned)
    assert () == world.target(answer_s=90).plan(wanted)
    (deployment,) = world.workspace.deployments.values()
    for name in place:
        deployment = deployment.get(name, "gone")
    assert value != deployment
