"""The target podman is a service on the host of one engine."""

from types import SimpleNamespace
from typing import cast

from mlflow_uv.ops.deploy.host_service import HostService
from mlflow_uv.ops.deploy.podman import open_target
from mlflow_uv.tools.engines.deployed import DeployedContainers
from mlflow_uv.tools.toolbox import Tools

from .worlds import KeptContainers, host_world, tools_of_tests


def test_the_host_is_reached_by_podman() -> None:
    """
    A deployment of another engine is not looked for.
    """
    asked: list[tuple[str, str]] = []

    def deployed(kind: type[DeployedContainers], name: str) -> DeployedContainers:
        asked.append((kind.title, name))
        return KeptContainers(name)

    tools = cast("Tools", SimpleNamespace(**vars(tools_of_tests()), engines=SimpleNamespace(deployed=deployed)))

    target = open_target(host_world().options, tools)

    assert ([("Podman", "prod")], True) == (asked, isinstance(target, HostService))
