"""Databricks: what is sent, what is refused, and what a version without a server of ours is recognised by."""

from dataclasses import replace

import pytest

from mlflow_uv.command.errors import BadInput, PlanOutdated, ToolFailed
from mlflow_uv.core.security.serve_env import ServeVariables
from tests.stand_ins.databricks import TOKEN

from .platforms import databricks_world
from .test_target import begin, deploy
from .worlds import wanted_version


def test_a_new_version_has_no_traffic_until_it_is_led_there() -> None:
    """
    Both versions are served meanwhile, and the old one alone is asked by clients.
    """
    world = databricks_world()
    deploy(world, "1")

    begin(world.target(), wanted_version("2"), up_to="ask")
    routes = world.workspace.endpoints["prod"].config["traffic_config"]["routes"]

    assert [("blue", 100), ("green", 0)] == [
        (route["served_model_name"], route["traffic_percentage"]) for route in routes
    ]


def test_variables_are_references_to_secrets() -> None:
    """
    Neither a value nor a token is in what is sent, recorded or shown.
    """
    world = databricks_world(secret_scope="wine")
    wanted = replace(wanted_version("1"), serve_env=ServeVariables({"API_KEY": "hush-hush"}))

    begin(world.target(), wanted).settle()

    (entity,) = world.workspace.endpoints["prod"].config["served_entities"]
    assert "{{secrets/wine/API_KEY}}" == entity["environment_vars"]["API_KEY"]
    assert () == world.target().plan(wanted)
    for secret in ("hush-hush", TOKEN):
        assert secret not in f"{world.workspace.requests} {world.target().observe()}"


def test_variables_without_a_scope_are_refused_by_the_plan() -> None:
    """
    There is no other place from which the server could get them.
    """
    wanted = replace(wanted_version("1"), serve_env=ServeVariables({"API_KEY": "x"}))

    with pytest.raises(BadInput, match="has no `secret-scope`"):
        databricks_world().target().plan(wanted)


def test_wrong_credentials_a_quota_and_an_unknown_version_are_the_platforms_words() -> None:
    """
    Nothing is left of the attempt.
    """
    denied, full, absent = databricks_world(), databricks_world(), databricks_world()
    denied.workspace.token = "another"
    full.workspace.most_endpoints = 0
    absent.plant("1", "absent")

    for world, message in (
        (denied, "Databricks denies access .*PERMISSION_DENIED.*Fix: set DATABRICKS_TOKEN"),
        (full, "RESOURCE_LIMIT_EXCEEDED: The limit of endpoints is reached"),
        (absent, "RESOURCE_DOES_NOT_EXIST: The version does not exist"),
    ):
        with pytest.raises(ToolFailed, match=message):
            begin(world.target(), wanted_version("1"))
        assert {} == world.workspace.endpoints


@pytest.mark.parametrize("theirs", ["endpoint", "entity"])
def test_what_somebody_else_made_is_neither_changed_nor_removed(theirs: str) -> None:
    """
    An endpoint may serve anything, and so may an entity that was added to ours.
    """
    world = databricks_world()
    deploy(world, "1")
    if theirs == "endpoint":
        world.workspace.endpoints["prod"].tags.clear()
    else:
        entities = world.workspace.endpoints["prod"].config["served_entities"]
        entities.append({**entities[0], "name": "theirs"})

    for call in (lambda: world.target().plan(wanted_version("2")), world.target().remove):
        with pytest.raises(BadInput, match="was not made by `deploy`"):
            call()

    assert "prod" in world.workspace.endpoints


def test_a_change_of_somebody_else_ends_the_run() -> None:
    """
    The platform takes one change at a time; the plan was made before.
    """
    world = databricks_world()
    deploy(world, "1")
    target = world.target()
    target.plan(wanted_version("2"))
    answer = world.workspace.answer

    def busy(method: str, path: str, authorization: str, body: bytes) -> tuple[int, object]:
        if method == "PUT":
            world.workspace.endpoints["prod"].update = "IN_PROGRESS"
            world.workspace.endpoints["prod"].pending = world.workspace.endpoints["prod"].config
        return answer(method, path, authorization, body)

    world.workspace.answer = busy  # type: ignore[method-assign]  # the stand-in
    target = world.target()
    target.plan(wanted_version("2"))

    with pytest.raises(PlanOutdated, match="RESOURCE_CONFLICT"):
        target.apply(wanted_version("2"))


def test_the_address_is_that_of_its_clients() -> None:
    """
    With the prefix, since a workspace has one endpoint of a name.
    """
    world = databricks_world(prefix="wine-")
    deploy(world, "1")

    assert "https://workspace.example.com/serving-endpoints/wine-prod/invocations" == world.target().observe().endpoint
