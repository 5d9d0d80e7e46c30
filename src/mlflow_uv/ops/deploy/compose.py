"""Deploys to a host by Docker Compose."""

from ...tools.engines.deployed import ComposeContainers
from ...tools.toolbox import Tools
from .host_service import HostService
from .target import DeploymentOptions


def open_target(options: DeploymentOptions, tools: Tools) -> HostService:
    """See target.OpenTarget."""
    return HostService(options, tools.engines.deployed(ComposeContainers, options.name), tools)
