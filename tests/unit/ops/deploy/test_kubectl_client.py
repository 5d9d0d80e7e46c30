"""Tests how a target reaches its cluster."""

from dataclasses import replace
from types import SimpleNamespace
from typing import cast

import pytest

from mlflow_uv.command.errors import ToolFailed
from mlflow_uv.ops.deploy.kubectl_client import connected
from mlflow_uv.tools.toolbox import Tools
from tests.unit.tools.conftest import FakeRunner, completed

from .worlds import cluster_world


def tools_with(runner: FakeRunner) -> Tools:
    """Tools whose programs are run by `runner`."""
    return cast("Tools", SimpleNamespace(runner=runner, host=SimpleNamespace(variables={"PATH": "/usr/bin"})))


def test_a_client_applies_in_its_namespace_as_the_owner_of_our_fields() -> None:
    """
    kubectl is looked for first, and no cluster is asked for that.
    """
    runner = FakeRunner()

    options = replace(cluster_world().options, model="red wine")
    connected(options, "models", tools_with(runner)).apply(({"kind": "Service"},))

    first, applied = runner.asked
    assert ("kubectl", "--namespace", "models", "version", "--client", "--output=json") == first.argv
    assert {"--namespace", "models", "--field-manager=mlflow-uv/red wine"} <= set(applied.argv)


def test_a_kubectl_that_does_not_run_is_an_error() -> None:
    """
    Before anything is planned.
    """
    runner = FakeRunner({" version ": completed(code=1, stderr="exec format error")})

    with pytest.raises(ToolFailed, match="kubectl does not run"):
        connected(cluster_world().options, "models", tools_with(runner))
