"""A service on a host: its proxy, its address and its two containers."""

from dataclasses import replace

import pytest

from mlflow_uv.command.errors import BadInput, PlanOutdated, ToolFailed
from mlflow_uv.core.deploy.proxy import FILE, slot_in
from mlflow_uv.core.security.serve_env import ServeVariables

from .test_target import begin, deploy
from .worlds import PROXY_IMAGE, HostWorld, host_world, wanted_version

PROXY = "mlflow-uv-prod-proxy"


def led_to(world: HostWorld) -> str | None:
    """The container that has the traffic."""
    return slot_in(world.containers.read(PROXY, FILE))


def test_two_containers_take_turns_and_the_proxy_stays() -> None:
    """
    The first start needs no signal; every later change is one, to the same proxy.
    """
    world, slots = host_world(), []

    for version in ("1", "2", "3"):
        deploy(world, version)
        slots.append(led_to(world))

    assert ["blue", "green", "blue"] == slots
    assert ["USR2", "USR2"] == world.containers.signals
    assert [("mlflow-uv-prod-blue", 30), ("mlflow-uv-prod-green", 30)] == world.containers.stopped


def test_a_server_that_verifies_its_model_gets_the_attestations() -> None:
    """
    In a variable of its container; they are no secret.
    """
    world = host_world()

    begin(world.target(), replace(wanted_version("1"), attestations="{}\n{}"), up_to="apply")
    begin(world.target(), wanted_version("2"), up_to="apply")

    given = [settings for settings in world.containers.settings if "REQUEST_TIMEOUT" in settings]
    assert ["{}\n{}", None] == [settings.get("ATTESTATIONS") for settings in given]


def test_the_endpoint_is_where_the_settings_say_and_a_preview_gets_a_free_port() -> None:
    """
    An address of every network is asked on loopback.
    """
    usual, preview = host_world(port=9000, listen="0.0.0.0"), host_world(is_preview=True, port=9000)  # noqa: S104  # nothing listens

    for world in (usual, preview):
        deploy(world, "1")

    endpoints = [world.target().observe().endpoint for world in (usual, preview)]
    assert ["http://127.0.0.1:9000", "http://127.0.0.1:49999"] == endpoints


def test_an_address_that_would_change_is_refused_with_the_way_to_do_it() -> None:
    """
    The proxy would have to end before another one can listen.
    """
    world = host_world(port=9000)
    deploy(world, "1")
    moved = HostWorld(containers=world.containers, options=host_world(port=9001).options)

    with pytest.raises(BadInput, match=r"listens on 127\.0\.0\.1:9000"):
        moved.target().plan(wanted_version("2"))


def test_a_deployment_of_another_model_is_not_replaced() -> None:
    """
    Two projects on one host may have chosen the same name.
    """
    world = host_world()
    deploy(world, "1")

    with pytest.raises(BadInput, match="runs the model `wine`"):
        world.target().plan(wanted_version("2", model="beer"))


@pytest.mark.parametrize("fault", ["check", "deaf"])
def test_a_proxy_that_does_not_take_its_configuration_keeps_the_old_version(fault: str) -> None:
    """
    It refuses the file, or starts no worker with it; the undoing leads back to version 1.
    """
    world = host_world()
    deploy(world, "1")
    world.containers.faults[PROXY] = fault
    target = begin(world.target(), wanted_version("2"), up_to="ask")

    with pytest.raises(ToolFailed):
        target.shift()
    del world.containers.faults[PROXY]
    target.undo()

    assert ("1", "blue", ()) == (world.target().observe().version, led_to(world), world.target().observe().leftovers)


@pytest.mark.parametrize("missing", [PROXY_IMAGE, wanted_version("1").address])
def test_an_image_that_is_not_there_is_named(missing: str) -> None:
    """
    That of the version, and that of the proxy; nothing is created before.
    """
    world = host_world()
    world.containers.missing.add(missing)

    with pytest.raises(ToolFailed, match=missing):
        begin(world.target(), wanted_version("1"))

    assert {} == world.containers.kept


def test_a_stopped_version_and_a_stopped_proxy_are_differences() -> None:
    """
    A plan for the same version is not empty where nothing answers.
    """
    world = host_world()
    deploy(world, "1")
    for kept in world.containers.kept.values():
        kept.described = replace(kept.described, running=False, exit_code=137, published="")

    planned = {change.part: change.now for change in world.target().plan(wanted_version("1"))}

    assert {"state": "ended with 137", "proxy": "ended with 137"} == planned


def lose(world: HostWorld, *names: str) -> None:
    """Containers were killed together with their monitors."""
    for name in names:
        kept = world.containers.kept[f"mlflow-uv-prod-{name}"]
        kept.described = replace(kept.described, running=False, exit_code=137, startable=False)


@pytest.mark.parametrize("version", ["1", "2"])
@pytest.mark.parametrize("lost", [("proxy",), ("blue",), ("proxy", "blue")], ids=" ".join)
def test_containers_that_the_engine_lost_are_created_again(version: str, lost: tuple[str, ...]) -> None:
    """
    A proxy that cannot be started, a server, and both; the same version is deployed as another one is.
    """
    world = host_world()
    deploy(world, "1")
    lose(world, *lost)

    deploy(world, version)

    seen = world.target().observe()
    led = "blue" if "proxy" in lost else "green"  # nobody knows where a lost proxy led
    assert (version, led, "running", ()) == (seen.version, led_to(world), seen.facts["proxy"], seen.leftovers)
    assert all(kept.described.running for kept in world.containers.kept.values())


def test_what_the_engine_lost_is_not_led_back_to() -> None:
    """
    A run that was killed is not undone by it: the version is deployed again.
    """
    world = host_world()
    deploy(world, "1")
    target = begin(world.target(), wanted_version("2"), up_to="shift")
    lose(world, "blue")
    target.plan(wanted_version("2"))

    restored = target.restore("1")
    deploy(world, "1")

    assert (False, "1") == (restored, world.target().observe().version)


def test_what_the_engine_lost_cannot_be_returned_to() -> None:
    """
    The error names the version to deploy, which then runs.
    """
    world = host_world()
    deploy(world, "1")
    lose(world, "blue")
    target = begin(world.target(), wanted_version("2"))

    with pytest.raises(ToolFailed) as raised:
        target.undo()
    deploy(world, "1")

    error = raised.value
    assert ("`mlflow-uv-prod-blue` cannot be started again", "deploy version 1 again") == (error.what, error.fix)
    assert "1" == world.target().observe().version


def test_the_proxy_is_never_led_to_a_container_that_is_gone() -> None:
    """
    Somebody removed what ran before; the new version keeps the traffic, and the error says so.
    """
    world = host_world()
    deploy(world, "1")
    target = begin(world.target(), wanted_version("2"))
    del world.containers.kept["mlflow-uv-prod-blue"]

    with pytest.raises(ToolFailed, match="nothing to return to"):
        target.undo()

    assert ("2", "green") == (world.target().observe().version, led_to(world))


def test_a_proxy_that_leads_elsewhere_under_the_same_name_is_a_difference_and_is_led_back() -> None:
    """
    Its server is another host; deploying the same version again writes the configuration.
    """
    world = host_world()
    deploy(world, "1")
    files = world.containers.volume
    files[FILE] = files[FILE].replace("server blue blue:8080", "server blue evil:8080")

    planned = {change.part: (change.now, change.then) for change in world.target().plan(wanted_version("1"))}
    deploy(world, "1")

    assert {"proxy": ("another configuration", "running")} == planned
    assert ("green", ()) == (led_to(world), world.target().plan(wanted_version("1")))


def test_another_request_timeout_is_no_other_configuration_and_is_undone() -> None:
    """
    An audit does not know the time limit of the run that deployed; the old one returns with the old version.
    """
    world = host_world()
    deploy(world, "1")
    before = world.target().observe()
    slower = HostWorld(containers=world.containers, options=replace(world.options, answer_s=120))

    seen = slower.target().observe()
    begin(slower.target(), wanted_version("2")).undo()

    assert [before, before] == [seen, world.target().observe()]


def test_a_network_that_a_removal_left_is_a_leftover() -> None:
    """
    Without it, a second removal would find nothing to do.
    """
    world = host_world()
    world.containers.kept_networks = ("network n1",)

    assert ("network n1",) == world.target().observe().leftovers


def test_limits_that_somebody_changed_are_differences() -> None:
    """
    `docker update` changes the container and not its label.
    """
    world = host_world(memory=512, cpus=0.5)
    deploy(world, "1")
    same = world.target().plan(wanted_version("1"))
    kept = world.containers.kept["mlflow-uv-prod-blue"]
    kept.described = replace(kept.described, memory_mib=900, cpus=0.25)

    planned = {change.part: change.now for change in world.target().plan(wanted_version("1"))}

    assert ((), {"memory": "900 MiB", "cpus": "0.25"}) == (same, planned)


def test_a_new_value_of_a_variable_is_a_difference_without_the_value() -> None:
    """
    The engine keeps the old one for the container; nothing else has to.
    """
    world = host_world()
    first, second = (
        replace(wanted_version("1"), serve_env=ServeVariables({"API_KEY": value, "ZONE": "a"}))
        for value in ("corked-bottle", "open-bottle")
    )
    begin(world.target(), first).settle()

    same, rotated = (world.target().plan(wanted) for wanted in (first, second))

    assert () == same
    (change,) = rotated
    assert ("variables", "API_KEY, ZONE (API_KEY with another value)") == (change.part, change.now)
    assert "bottle" not in repr((rotated, world.containers.all()))


def test_another_model_that_deploys_after_the_last_check_is_neither_adopted_nor_undone() -> None:
    """
    The engine creates a name once; the run that comes later ends as outdated, and what the other one made stays.
    """
    world = host_world()
    late, wanted = world.target(model="cats"), wanted_version("2", model="cats")
    late.plan(wanted)
    begin(world.target(), wanted_version("1"), up_to="apply")
    before = {name: kept.described.id for name, kept in world.containers.kept.items()}

    with pytest.raises(PlanOutdated, match="created `mlflow-uv-prod-blue` first"):
        late.apply(wanted)
    late.undo()

    assert before == {name: kept.described.id for name, kept in world.containers.kept.items()}


def test_a_change_between_the_plan_and_the_first_container_is_noticed() -> None:
    """
    Two other runs changed the version twice, so the name is free again; the container that was created is removed.
    """
    world = host_world()
    deploy(world, "1")
    late, wanted = world.target(), wanted_version("4")
    late.plan(wanted)
    deploy(world, "2")
    deploy(world, "3")
    before = {*world.containers.kept}

    with pytest.raises(PlanOutdated, match="than when it was planned"):
        late.apply(wanted)
    late.undo()

    assert ("3", before) == (world.target().observe().version, {*world.containers.kept})


def test_a_run_leaves_the_container_of_another_one_when_it_settles() -> None:
    """
    It was created after the traffic had moved, and is none of what ran before.
    """
    world = host_world()
    deploy(world, "1")
    first = begin(world.target(), wanted_version("2"))
    del world.containers.kept["mlflow-uv-prod-blue"]
    other = world.target()
    other.plan(wanted_version("3"))
    other.apply(wanted_version("3"))

    first.settle()

    assert {"mlflow-uv-prod-proxy", "mlflow-uv-prod-green", "mlflow-uv-prod-blue"} == {*world.containers.kept}


def test_a_version_whose_image_is_gone_changes_nothing() -> None:
    """
    There is nothing to return to, and what an interrupted run left is not led to.
    """
    world = host_world()
    deploy(world, "1")
    begin(world.target(), wanted_version("2"), up_to="wait")
    world.containers.missing.add(wanted_version("3").address)
    target = world.target()
    target.plan(wanted_version("3"))

    with pytest.raises(ToolFailed, match="has no image"):
        target.apply(wanted_version("3"))
    target.undo()

    assert ("1", ("mlflow-uv-prod-green",)) == (
        world.target().observe().version,
        world.target().observe().leftovers,
    )
