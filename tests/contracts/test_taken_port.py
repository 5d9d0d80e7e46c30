"""Contract: a container whose port another program has is not started, and starts at another one."""

import os
import socket
import subprocess

import pytest

from mlflow_uv.command.errors import ToolFailed
from mlflow_uv.tools.engines.choice import Engines
from mlflow_uv.tools.engines.deployed import ComposeContainers, ContainerSpec
from mlflow_uv.tools.system.process import SystemRunner
from tests.cases.deployments import PROXY_IMAGE, new_name, require_proxy
from tests.ports import free_port

pytestmark = pytest.mark.engine


def test_a_port_that_is_taken_is_named_and_another_one_works() -> None:
    """
    As the fix says: another `port`.
    """
    require_proxy()
    name = new_name()
    engines = Engines(SystemRunner(), variables=dict(os.environ), on_line=lambda _: None)
    containers = engines.deployed(ComposeContainers, name)
    image = containers.image(PROXY_IMAGE).id

    def start_at(port: int) -> None:
        spec = ContainerSpec(
            part="proxy", image=image, facts={}, publish=f"127.0.0.1:{port}:8080", command=("sleep", "60")
        )
        containers.start(containers.create(spec))

    try:
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = int(taken.getsockname()[1])
            with pytest.raises(ToolFailed) as raised:
                start_at(port)
        before = [container.running for container in containers.all()]
        for container in containers.all():
            containers.stop(container, grace_s=0)
        start_at(free_port())

        assert [False] == before
        assert ("because its port is taken" in raised.value.what, raised.value.fix[:14]) == (True, "another `port`")
        assert [True] == [container.running for container in containers.all()]
    finally:
        for container in containers.all():
            containers.stop(container, grace_s=0)
        subprocess.run(("docker", "network", "rm", f"mlflow-uv-{name}"), capture_output=True, check=False)
