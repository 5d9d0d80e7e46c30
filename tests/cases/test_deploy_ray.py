"""Versions are replaced on a real Ray cluster without a lost request, and returned from where they fail."""

import os
import signal
from collections.abc import Iterator

import pytest

from tests.sharing import SharedFolder
from tests.waiting import happens

from .deployments import Clients, Deployment, Versions, new_name, released_versions
from .ray_cluster import RayCluster, ray_cluster
from .sample_project import SampleProject

FINDINGS, NOT_SERVING = 1, 15
NAMES = ("first", "second", "wrong-on-ray", "ends-on-ray")
ENOUGH = 500

pytestmark = [pytest.mark.engine, pytest.mark.extended]


@pytest.fixture(scope="module")
def cluster(shared: SharedFolder) -> Iterator[RayCluster]:
    """A cluster for all tests of this module."""
    with ray_cluster(shared) as started:
        yield started


@pytest.fixture(scope="module")
def versions(released_sample: SampleProject, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Versions]:
    """Every version, released once."""
    with released_versions(released_sample, NAMES, tmp_path_factory.mktemp("ray") / "untouched") as found:
        yield found


@pytest.fixture
def deployment(versions: Versions, cluster: RayCluster) -> Iterator[Deployment]:
    """A deployment that runs the first version; it is removed afterwards."""
    versions.sample.restore()
    name = new_name()
    made = Deployment(
        consumer=versions.sample.consumer,
        name=name,
        target="ray",
        variables={"RAY_ADDRESS": cluster.address},
        port=cluster.serve,
        path=f"/{name}/invocations",
    )
    made.declare("memory = 128", "cpus = 0.5")
    try:
        first = made.run(versions.numbers["first"])
        assert 0 == first.code, first.stderr
        yield made
    finally:
        removed = made.run("1", "--remove", "deployment")
        assert 0 == removed.code, removed.stderr
        assert {} == {key: part for key, part in cluster.applications().items() if key.startswith(name)}


def test_versions_are_replaced_on_ray_without_a_lost_request(
    deployment: Deployment, versions: Versions, cluster: RayCluster
) -> None:
    """
    Clients ask all the time; a wrong version and one that does not start get no request of them.
    """
    first = versions.numbers["first"]
    again = deployment.run(first, "--dry-run")
    with Clients(deployment, 2) as clients:
        replaced = deployment.run(versions.numbers["second"])
        wrong = deployment.run(versions.numbers["wrong-on-ray"])
        ends = deployment.run(versions.numbers["ends-on-ray"])
        assert happens(lambda: clients.answered >= ENOUGH)
    audited = deployment.consumer.run(
        "audit", f"models:/wine/{versions.numbers['second']}", variables=deployment.variables
    )

    assert (0, False) == (again.code, again.outputs["deployment-changed"]), again.stderr
    assert 0 == replaced.code, replaced.stderr
    assert FINDINGS == wrong.code, wrong.stderr
    assert "does not answer as in training: returned to version" in wrong.stderr
    assert NOT_SERVING == ends.code, ends.stderr
    assert "no such licence" in ends.stderr
    assert [] == clients.failures, (clients.answered, clients.failures[:5])
    assert {deployment.name, f"{deployment.name}_green"} == {
        name for name in cluster.applications() if name.startswith(deployment.name)
    }
    assert f"✓ deployment {deployment.name}" in f"{audited.stdout}{audited.stderr}" or 0 == audited.code


@pytest.mark.parametrize("by", [signal.SIGTERM, signal.SIGKILL])
def test_a_run_that_ends_on_ray_is_undone_or_finished_by_the_next(
    deployment: Deployment, versions: Versions, cluster: RayCluster, by: signal.Signals
) -> None:
    """
    The version before answers meanwhile; a cancelled run leaves nothing, and nothing of a killed one is left.
    """
    sample, second = versions.sample, versions.numbers["second"]
    process = sample.start("deploy", *deployment.argv(second), variables=dict(deployment.variables))
    green = f"{deployment.name}_green"
    assert happens(lambda: process.poll() is not None or green in cluster.applications())

    process.send_signal(by)
    ended = sample.ended(process)
    answer, left = deployment.ask(3.0), green in cluster.applications()
    following = deployment.run(second)

    assert ({signal.SIGTERM: 143, signal.SIGKILL: -9}[by], 6.0) == (ended.code, answer), ended.stderr
    assert (by == signal.SIGKILL) == left
    assert (0, second) == (following.code, following.outputs["version"]), following.stderr
    assert 8.0 == deployment.ask(4.0)


STUCK = """
from ray import serve

class Router:
    pass

deployment = serve.deployment(Router).options(
    name="Router", user_config={{"shares": {{"{name}_blue": 100}}}}, ray_actor_options={{"resources": {{"nothing": 1}}}}
)
serve.run_many(
    [serve.RunTarget(target=deployment.bind(), name="{name}", route_prefix="/{name}")],
    wait_for_applications_running=False,
)
"""


def test_an_endpoint_that_never_started_does_not_block_the_next_run(
    deployment: Deployment, versions: Versions, cluster: RayCluster
) -> None:
    """
    Its replica waits for what no node has; the plan says so, and the run makes it again.
    """

    def leading() -> tuple[str, set[str]]:
        application = cluster.applications()[deployment.name]
        replicas = application["deployments"]["Router"]["replicas"]
        return application["status"], {replica["state"] for replica in replicas}

    cluster.run(STUCK.format(name=deployment.name))
    assert happens(lambda: leading() == ("DEPLOYING", {"STARTING"})), leading()

    planned = deployment.run(versions.numbers["first"], "--dry-run")
    following = deployment.run(versions.numbers["first"])

    assert (0, True) == (planned.code, planned.outputs["deployment-changed"]), planned.stderr
    assert "its endpoint is deploying" in planned.stderr
    assert 0 == following.code, following.stderr
    assert 6.0 == deployment.ask(3.0)


def test_a_replica_that_ends_is_replaced_with_the_same_version(deployment: Deployment, cluster: RayCluster) -> None:
    """
    The environment is there already, and the server ends with its replica.
    """

    def replicas() -> dict[str, int]:
        application = cluster.applications().get(f"{deployment.name}_blue", {})
        found = application.get("deployments", {}).get("Model", {}).get("replicas", ())
        return {part["actor_id"]: part["pid"] for part in found if part["state"] == "RUNNING"}

    ((before, pid),) = replicas().items()

    os.kill(pid, signal.SIGKILL)

    assert happens(lambda: len(replicas()) == 1 and before not in replicas())
    assert 6.0 == deployment.ask(3.0)
