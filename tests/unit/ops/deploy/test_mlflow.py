"""Plugins of `mlflow.deployments`: what is written down of them, and how they return."""

import json
from dataclasses import replace
from types import SimpleNamespace
from typing import Any, cast

import pytest

from mlflow_uv.command.errors import BadInput, NotReturned, ToolFailed
from mlflow_uv.core.deploy.plugin_settings import PluginSettings
from mlflow_uv.core.deploy.running import RUNNING
from mlflow_uv.core.security.serve_env import ServeVariables
from mlflow_uv.ops.deploy.mlflow import MlflowDeployment, PluginNote, RegistryNotes, open_target, require_plugin
from mlflow_uv.ops.lineage.registry_client import RegistryClient
from mlflow_uv.payloads.messages.registry import SetTags
from mlflow_uv.tools.toolbox import Tools

from .platforms import KeptPlugin, options_of, plugin_world
from .test_target import begin, deploy, roll_out, runs
from .worlds import QuickClock, tools_of_tests, wanted_version


def test_a_wrong_version_is_replaced_by_the_one_before() -> None:
    """
    It is asked in place; the plugin runs version 1 again, and a first one is removed.
    """
    world = plugin_world()
    world.plant("2", "wrong")

    first = roll_out(world.target(), "2")
    left = dict(world.kept)
    deploy(world, "1")
    second = roll_out(world.target(), "2")

    assert (True, {}, True) == (first.returned, left, second.returned)
    assert ({"prod": "1"}, ("1", RUNNING, ())) == (world.kept, runs(world))


def test_a_plugin_that_fails_returns_to_the_version_before() -> None:
    """
    Its words are those of the error.
    """
    world = plugin_world()
    deploy(world, "1")
    world.plant("2", "ends")

    with pytest.raises(ToolFailed, match="the machine ran out of memory"):
        roll_out(world.target(), "2")

    assert ("1", RUNNING, ()) == runs(world)


def test_a_run_that_was_killed_inside_the_plugin_is_seen() -> None:
    """
    The note says that the version changes; a run of either version calls the plugin again.
    """
    for version in ("1", "2"):
        world = plugin_world()
        deploy(world, "1")
        target = begin(world.target(), wanted_version("2"), up_to="ask")
        world.plant("2", "ends")
        with pytest.raises(ToolFailed):
            target.shift()
        world.faults.clear()
        seen = runs(world)

        roll_out(world.target(), version)

        assert (("2", "changing", ()), (version, RUNNING, ())) == (seen, runs(world))
        assert {"prod": version} == world.kept


def test_the_version_before_a_killed_run_is_returned_to_if_it_is_known() -> None:
    """
    The note of the killed run has it.
    """
    world = plugin_world()
    deploy(world, "1")
    world.plant("2", "wrong")
    begin(world.target(), wanted_version("2"))

    done = roll_out(world.target(), "2", undoable=True)

    assert (True, {"prod": "1"}) == (done.returned, world.kept)
    alone = plugin_world()
    deploy(alone, "1")
    alone.plant("1", "wrong")
    with pytest.raises(NotReturned, match="the version that ran before is not known"):
        roll_out(alone.target(), "1", undoable=True)


@pytest.mark.parametrize("killed", [False, True])
def test_what_ran_before_returns_with_the_configuration_that_it_had(killed: bool) -> None:
    """
    Also after a run with another configuration was killed: the note has it.
    """
    world = plugin_world(config=("size=small,slow", "traffic=all"))
    deploy(world, "1")
    world.settings = replace(world.settings, config=("size=huge",))
    world.plant("2", "wrong")
    if killed:
        begin(world.target(), wanted_version("2"))

    done = roll_out(world.target(), "2", undoable=True)

    config = {"size": "small,slow", "traffic": "all"}
    assert (True, {"prod": "1"}, {"prod": config}) == (done.returned, world.kept, world.configs)
    assert world.notes.note is not None
    assert ("size=small,slow", "traffic=all") == world.notes.note.config


def test_a_deployment_of_somebody_else_is_not_replaced() -> None:
    """
    Nothing was written down of it.
    """
    world = plugin_world()
    world.kept["prod"] = "7"

    with pytest.raises(BadInput, match="was not made by `deploy`"):
        world.target().plan(wanted_version("1"))
    with pytest.raises(BadInput, match="was not made by `deploy`"):
        world.target().remove()

    assert {"prod": "7"} == world.kept


def test_a_deployment_that_somebody_made_after_a_removal_is_not_removed() -> None:
    """
    The last note says that the one of the name was removed.
    """
    world = plugin_world()
    deploy(world, "1")
    world.target().remove()
    world.kept["prod"] = "7"

    with pytest.raises(BadInput, match="was not made by `deploy`"):
        world.target().remove()

    assert {"prod": "7"} == world.kept


def test_a_deployment_that_somebody_made_after_the_plan_is_not_replaced() -> None:
    """
    It is asked again right before the plugin is called, and nothing is undone.
    """
    world = plugin_world()
    target = begin(world.target(), wanted_version("1"), up_to="ask")
    world.kept["prod"] = "7"

    with pytest.raises(BadInput, match="was not made by `deploy`"):
        target.shift()
    target.undo()

    assert {"prod": "7"} == world.kept


def test_variables_of_a_model_are_refused() -> None:
    """
    MLflow's interface has no place for them.
    """
    wanted = replace(wanted_version("1"), serve_env=ServeVariables({"API_KEY": "x"}))

    with pytest.raises(BadInput, match="does not take the variables of a model"):
        plugin_world().target().plan(wanted)


def test_without_a_registry_nothing_says_which_version_runs() -> None:
    """
    That is no proof that the recorded one does: `audit` calls it unverified.
    """
    options = options_of(PluginSettings(target="mlflow", plugin="cellar"))
    target = MlflowDeployment(options, KeptPlugin({"prod": "1"}, {}, {}), None, tools_of_tests())

    with pytest.raises(ToolFailed, match="does not say which version it runs"):
        target.observe()
    with pytest.raises(ToolFailed, match="does not say which version it runs"):
        open_target(options, tools_of_tests())


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"plugin": None}, "has no `plugin`"),
        ({"config": ("a",)}, "not KEY=VALUE"),
        ({"config": ("=a",)}, "not KEY=VALUE"),
        ({"variables": ("GITHUB_TOKEN",)}, "gives rights beyond the plugin"),
    ],
)
def test_settings_that_a_plugin_cannot_have_are_refused(settings: dict[str, Any], message: str) -> None:
    """
    Before an environment is made.
    """
    with pytest.raises(BadInput, match=message):
        require_plugin(PluginSettings(target="mlflow", **{"plugin": "cellar", **settings}))


class TaggedVersions:
    """A registry client with the tags of three versions."""

    def __init__(self) -> None:
        self.tags: dict[str, dict[str, str]] = {"1": {}, "2": {}, "3": {"mlflow-uv.plugin.prod": '{"facts": []}'}}

    def find_versions(self, _name: str) -> tuple[Any, ...]:
        """See StoreClient."""
        return tuple(SimpleNamespace(tags=tags) for tags in self.tags.values())

    def set_tags(self, request: SetTags) -> None:
        """See StoreClient."""
        assert request.version is not None
        self.tags[request.version[1]].update(request.tags)


def test_the_newest_note_of_the_deployment_counts() -> None:
    """
    Notes are tags of versions, which anybody who may write tags can write; what is none is left out.
    """
    client, clock = TaggedVersions(), QuickClock()
    tools = cast("Tools", SimpleNamespace(clock=clock))
    registry = cast("RegistryClient", SimpleNamespace(client=client, tools=tools))
    notes = RegistryNotes(registry, "wine", "prod")
    nothing = notes.read()
    note = PluginNote(facts={}, config=("a=b,c",), before=PluginNote(facts={"version": "7"}, config=("a=d",)))

    for version in ("2", "1"):
        clock.wait(-30)  # another machine
        notes.write(replace(note, facts={"version": version, "state": RUNNING}))
    RegistryNotes(registry, "wine", "other").write(PluginNote(facts={"version": "2"}))

    assert nothing is None
    assert replace(note, facts={"version": "1", "state": RUNNING}) == notes.read()
    assert "7" == json.loads(client.tags["2"]["mlflow-uv.plugin.prod"])["before"]["facts"]["version"]
