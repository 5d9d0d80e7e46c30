"""Connects a target to its cluster."""

from ...core.deploy.manifests import MANAGER
from ...tools.kubernetes.kubectl import Kubectl
from ...tools.toolbox import Tools


def connected(namespace: str, tools: Tools) -> Kubectl:
    """
    Return a client of a namespace, which owns the fields that it applies.

    Raises ToolMissing without kubectl, and ToolFailed if it does not run; no cluster is asked.
    """
    cluster = Kubectl(tools.runner, variables=tools.host.variables, namespace=namespace, manager=MANAGER)
    cluster.require_installed()
    return cluster
