"""A version is deployed to this machine and removed again."""

import pytest

from .conftest import Released
from .consumer import Consumer
from .deployments import Deployment, new_name, require_proxy

pytestmark = pytest.mark.engine


def test_a_version_is_deployed_and_removed(released: Released, consumer: Consumer) -> None:
    """
    The wine model in a container that Docker Compose creates, behind a real HAProxy; nothing is left of it.
    """
    require_proxy()
    assert released.consumer == consumer
    deployment = Deployment(consumer=consumer, name=new_name())
    deployment.declare()
    try:
        deployed = deployment.run("1")
        containers = deployment.containers()
    finally:
        deployment.remove()

    assert 0 == deployed.code, deployed.stderr
    assert f"http://127.0.0.1:{deployment.port}" == deployed.outputs["endpoint"]
    assert [f"mlflow-uv-{deployment.name}-{part}-1" for part in ("blue", "proxy")] == containers
