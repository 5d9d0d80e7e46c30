"""Ray Serve: the shares of the applications, what keeps a version from running, and whose applications they are."""

from dataclasses import replace

import pytest

from mlflow_uv.command.errors import BadInput, NotServing, ToolFailed
from mlflow_uv.core.security.serve_env import ServeVariables
from mlflow_uv.ops.deploy.shared_endpoint import SharedEndpoint

from .platforms import ray_world
from .test_target import begin, deploy
from .worlds import wanted_version


def test_a_version_gets_its_shares_beside_the_one_before() -> None:
    """
    A first version gets no request before it is asked.
    """
    world = ray_world()
    begin(world.target(), wanted_version("1"), up_to="ask")
    begun = {*world.cluster.applications}
    deploy(world, "1")
    target = begin(world.target(), wanted_version("2"), up_to="ask")
    assert isinstance(target, SharedEndpoint)

    target.share(5)
    target.shift()
    target.settle()

    assert {"prod_blue"} == begun
    assert [{"prod_blue": 100}, {"prod_green": 5, "prod_blue": 95}, {"prod_green": 100}] == world.cluster.shares
    assert {"prod", "prod_green"} == {*world.cluster.applications}


def test_why_a_replica_does_not_start_is_the_reason_of_the_error() -> None:
    """
    Not the lines of a traceback before it.
    """
    world = ray_world()
    world.plant("1", "ends")

    with pytest.raises(NotServing, match="deploy failed: the server of the model ended with 3: out of memory"):
        begin(world.target(), wanted_version("1"), up_to="wait")


def test_a_job_that_fails_ends_the_run_with_its_last_line() -> None:
    """
    The return of the run is not hindered by it.
    """
    world = ray_world()
    deploy(world, "1")
    target = begin(world.target(), wanted_version("2"), up_to="ask")
    world.cluster.refused = "no node has enough memory"

    with pytest.raises(ToolFailed, match="failed on the cluster: RuntimeError: no node has enough memory"):
        target.shift()
    target.undo()

    assert ("1", ()) == (world.target().observe().version, world.target().observe().leftovers)


@pytest.mark.parametrize("name", ["prod", "prod_blue"])
def test_an_application_of_somebody_else_is_neither_changed_nor_removed(name: str) -> None:
    """
    It has the name of one of ours, and not what a job of this program writes of it.
    """
    world = ray_world()
    deployment = {"Ingress": {"deployment_config": {"user_config": {"a": 1}}}}
    world.cluster.applications[name] = {"status": "RUNNING", "message": "", "deployments": deployment}

    with pytest.raises(BadInput, match="was not made by `deploy`"):
        world.target().plan(wanted_version("1"))
    with pytest.raises(BadInput, match="was not made by `deploy`"):
        world.target().remove()

    assert {name} == {*world.cluster.applications}


def test_variables_in_the_clear_must_be_allowed() -> None:
    """
    Whoever reaches the dashboard reads them.
    """
    wanted = replace(wanted_version("1"), serve_env=ServeVariables({"API_KEY": "x"}))

    with pytest.raises(BadInput, match="keeps the variables of a model in the clear"):
        ray_world().target().plan(wanted)
    assert ray_world(plain_variables=True).target().plan(wanted)


def test_the_endpoint_is_below_the_address_of_ray_serve() -> None:
    """
    That of the settings, or the host of the dashboard with the port of Ray Serve.
    """
    world, named = ray_world(prefix="wine-"), ray_world(url="https://models.example.com/")
    deploy(world, "1")
    named.cluster = world.cluster
    world.cluster.applications = {
        name.replace("wine-", ""): part for name, part in world.cluster.applications.items()
    } | world.cluster.applications

    assert "http://127.0.0.1:8000/wine-prod" == world.target().observe().endpoint
    assert "https://models.example.com/prod" == named.target().observe().endpoint


def test_a_change_of_a_killed_run_is_waited_for() -> None:
    """
    Its job makes an application that is not there yet.
    """
    world = ray_world()
    first = world.target()
    first.plan(wanted_version("1"))
    first.apply(wanted_version("1"))
    assert {} == world.cluster.applications

    deploy(world, "2")

    assert ("2", ()) == (world.target().observe().version, world.target().observe().leftovers)


def test_a_job_that_does_not_end_is_stopped_and_named() -> None:
    """
    The run returns, and the next one is not blocked by it.
    """
    world = ray_world()
    deploy(world, "1")
    target = begin(world.target(), wanted_version("2"), up_to="ask")
    world.cluster.hangs = True

    with pytest.raises(ToolFailed, match=r"does not end on the cluster: mlflow-uv_prod_\w+ is stopped"):
        target.shift()
    target.undo()
    returned = world.target().observe()
    deploy(world, "2")

    assert ("1", ()) == (returned.version, returned.leftovers)
    assert "2" == world.target().observe().version
    assert ["STOPPED"] == [job["status"] for job in world.cluster.jobs.values() if job["status"] != "SUCCEEDED"]


@pytest.mark.parametrize(("job", "status"), [("mlflow-uv_prod_1", "STOPPED"), ("mlflow-uv_prod-pr-17_1", "RUNNING")])
def test_a_job_of_a_killed_run_that_does_not_end_is_stopped(job: str, status: str) -> None:
    """
    One of another deployment is not waited for.
    """
    world = ray_world()
    deploy(world, "1")
    world.cluster.jobs[job] = {"submission_id": job, "status": "RUNNING"}

    deploy(world, "2")

    assert ("2", status) == (world.target().observe().version, world.cluster.jobs[job]["status"])


@pytest.mark.parametrize("version", ["1", "2"])
@pytest.mark.parametrize("status", ["DEPLOYING", "DEPLOY_FAILED"])
def test_what_leads_the_requests_is_made_again_if_it_never_started(version: str, status: str) -> None:
    """
    An endpoint that nobody can ask is a difference, also where the version is the same.
    """
    world = ray_world()
    deploy(world, "1")
    leads = world.cluster.applications["prod"]
    leads["status"] = status
    leads["deployments"]["Router"]["replicas"] = [{"state": "STARTING"}]
    planned = {change.part: change.now for change in world.target().plan(wanted_version(version))}

    deploy(world, version)

    after = world.target().observe()
    assert f"its endpoint is {status.lower().replace('_', ' ')}" == planned["state"]
    assert (version, "running", ()) == (after.version, after.facts["state"], after.leftovers)
    assert "RUNNING" == world.cluster.applications["prod"]["status"]


def test_what_leads_the_requests_stays_while_it_answers_them() -> None:
    """
    Ray starts one more replica, which takes longer than a run waits; deleting it would lose requests.
    """
    world = ray_world()
    deploy(world, "1")
    leads = world.cluster.applications["prod"]
    leads["status"] = "DEPLOYING"
    leads["deployments"]["Router"]["replicas"] = [{"state": "RUNNING"}, {"state": "STARTING"}]
    target = begin(world.target(), wanted_version("2"), up_to="ask")

    target.shift()

    assert [] == world.cluster.deleted
    assert "2" == world.target().observe().version
