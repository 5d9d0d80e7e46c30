"""Connects a target to its cluster."""

from ...core.deploy.manifests import manager_of
from ...tools.kubernetes.kubectl import Kubectl
from ...tools.toolbox import Tools
from .target import DeploymentOptions


def connected(options: DeploymentOptions, namespace: str, tools: Tools) -> Kubectl:
    """
    Return a client of a namespace, which owns the fields that it applies in the name of the model.

    Raises ToolMissing without kubectl, and ToolFailed if it does not run; no cluster is asked.
    """
    cluster = Kubectl(
        tools.runner, variables=tools.host.variables, namespace=namespace, manager=manager_of(options.model)
    )
    cluster.require_installed()
    return cluster
