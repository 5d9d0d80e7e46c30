"""Opens the target of a deployment by its kind, whose module is imported on first use."""

from importlib import import_module

from ...core.deploy.settings import KINDS
from ...tools.toolbox import Tools
from .target import DeploymentOptions, DeploymentTarget, OpenTarget


def open_target(options: DeploymentOptions, tools: Tools) -> DeploymentTarget:
    """Open the target that the settings name. Raises NoEngine or ToolMissing if it cannot be used from here."""
    kind = options.settings.target
    assert kind in KINDS  # noqa: S101  # read_deployments accepts no other
    opening: OpenTarget = import_module(f".{kind}", __package__).open_target
    return opening(options, tools)
