"""A new version gets a part of real requests first, and loses them if clients or this run find it wrong."""

from collections.abc import Iterator

import pytest

from .deployments import Clients, Deployment, Versions, new_name, released_versions
from .sample_project import SampleProject

FINDINGS = 1
NAMES = ("first", "second", "rare", "slow")

pytestmark = pytest.mark.engine


@pytest.fixture(scope="module")
def versions(released_sample: SampleProject, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Versions]:
    """Every version, released once."""
    with released_versions(released_sample, NAMES, tmp_path_factory.mktemp("versions") / "untouched") as found:
        yield found


@pytest.fixture
def deployment(versions: Versions) -> Iterator[Deployment]:
    """A deployment that runs the first version; the next one gets a fifth, then half of the requests."""
    versions.sample.restore()
    made = Deployment(consumer=versions.sample.consumer, name=new_name())
    made.declare('canary = "20, 50"', "canary-seconds = 8")
    try:
        first = made.run(versions.numbers["first"])
        assert 0 == first.code, first.stderr
        yield made
    finally:
        made.remove()


@pytest.mark.extended
def test_a_good_version_gets_more_and_more_of_the_requests(deployment: Deployment, versions: Versions) -> None:
    """
    No request fails, and those of clients are counted at each share.
    """
    with Clients(deployment) as clients:
        result = deployment.run(versions.numbers["second"])

    again = deployment.run(versions.numbers["second"], "--dry-run")
    assert (0, []) == (result.code, clients.failures), result.stderr
    assert ["20 % of the requests", "50 % of the requests"] == [
        f"{share} % of the requests" for share in (20, 50) if f"{share} % of the requests go to" in result.stderr
    ]
    assert " 0 of clients" not in result.stderr
    assert not again.outputs["deployment-changed"]


@pytest.mark.extended
@pytest.mark.parametrize(("name", "rule"), [("rare", "answers-differ"), ("slow", "canary-slow")])
def test_a_version_that_the_smoke_test_cannot_tell_is_stopped(
    deployment: Deployment, versions: Versions, name: str, rule: str
) -> None:
    """
    One request of twenty is answered wrong, or only requests of clients take long; the first share is enough.
    """
    containers = deployment.containers()
    with Clients(deployment) as clients:
        result = deployment.run(versions.numbers[name])

    again = deployment.run(versions.numbers["first"], "--dry-run")
    assert FINDINGS == result.code, result.stderr
    assert rule in result.rules
    assert "returned to version" in result.stderr
    assert (containers, False) == (deployment.containers(), again.outputs["deployment-changed"])
    assert not [failure for failure in clients.failures if "status" in failure or "Error" in failure]
    assert 8.0 == deployment.ask(4.0)
